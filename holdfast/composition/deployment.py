"""Version of a worker in a Worker Deployment of Temporal, from the settings."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from holdfast._util.logger import get_logger
from holdfast.errors import SettingsError
from holdfast.settings import Settings

log = get_logger(__name__)

BEHAVIORS = {"auto-upgrade": VersioningBehavior.AUTO_UPGRADE, "pinned": VersioningBehavior.PINNED}


def deployment_config(settings: Settings) -> WorkerDeploymentConfig | None:
    """Returns the version of a worker and how runs move between versions; `None`: workers have no versions.

    Raises:
        SettingsError: one of the two settings that name a version is missing.
    """
    name, build = settings.worker_deployment, settings.worker_build_id
    if name is None and build is None:
        return None
    if name is None or build is None:
        missing, given = (
            ("WORKER_DEPLOYMENT", "WORKER_BUILD_ID") if name is None else ("WORKER_BUILD_ID", "WORKER_DEPLOYMENT")
        )
        raise SettingsError(f"{given} needs {missing}: a version of a worker has both, or set neither")
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(name, build),
        use_worker_versioning=True,
        default_versioning_behavior=BEHAVIORS[settings.worker_versioning],
    )


async def report_version(client: Client, config: WorkerDeploymentConfig) -> None:
    """Logs whether Temporal gives new runs to a version, and otherwise the command after which it does."""
    version = config.version
    if await _serves_new_runs(client, version):
        log.info("worker version serves new runs", deployment=version.deployment_name, build_id=version.build_id)
        return
    log.warning(
        "Temporal gives no new runs to this worker version yet",
        deployment=version.deployment_name,
        build_id=version.build_id,
        command=f"temporal worker deployment set-current-version --namespace {client.namespace} "
        f"--deployment-name {version.deployment_name} --build-id {version.build_id}",
    )


async def _serves_new_runs(client: Client, version: WorkerDeploymentVersion) -> bool:
    """Whether a version is the current one of its deployment, or the one that is ramped up."""
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=version.deployment_name)
    try:
        answer = await client.workflow_service.describe_worker_deployment(request)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:  # no worker of it has polled before
            return False
        log.warning("the worker's deployment cannot be read", reason=error.message)
        return True
    routing = answer.worker_deployment_info.routing_config
    served = {routing.current_deployment_version.build_id, routing.ramping_deployment_version.build_id}
    return version.build_id in served
