"""Evidence of the scripted researcher: words of the question, and hits, windows and findings from tool results. No I/O.

It parses the results of the file tools: one file per line from `list_files`, `path:line: text` from `search_files`, and
a header with numbered lines from `read_file`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MAX_WORDS = 4
MAX_PHRASES = 2
MAX_WINDOWS = 4
MAX_WINDOWS_PER_FILE = 2
MAX_FINDINGS = 5
MAX_FINDINGS_PER_WINDOW = 2
NEAR = 3  # lines; words this close together probably belong to the same subject
WINDOW = 24  # lines to read around a hit
MAX_QUOTE = 280  # characters
SHORT = 25  # characters; shorter lines are usually headings or table headers, which say little

REPORTS = "reports/"
"""The researcher's output folder, whose files are not evidence."""
PICTURES = (".svg",)
"""Endings of pictures that are stored as text."""

_STOP_TEXT = """
    a about above after again all also am an and any are as at be because been before being below between both but
    by can could did do does doing done down during each else ever every explain few file files find folder for from
    further give had has have having he her here hers him his how i if in into is it its just know let like look
    made make many may me might more most much must my need no nor not now of off on once one only or other our out
    over own please question report say says shall she should show so some such summarise summarize tell than that
    the their them then there these they this those through to too under until up us use used uses using very want
    was we were what when where whether which while who whom whose why will with within without would write written
    yes you your
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())
"""Words that say nothing about the subject of a question."""
_WORD = re.compile(r"\w+(?:[-.']\w+)*")
_PHRASE = re.compile(r"\"([^\"\n]{3,80})\"|“([^”\n]{3,80})”|`([^`\n]{3,80})`")
_HIT = re.compile(r"(.+?):(\d+):(.*)")


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that contains a search term."""

    needle: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Window:
    """Lines of a file that were read."""

    path: str
    lines: dict[int, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """A literal quote of a line, or of a part of it."""

    path: str
    line: int
    quote: str

    @property
    def citation(self) -> str:
        """The quote and its place, as a list item."""
        return f"- “{self.quote}” (`{self.path}:{self.line}`)"


def needles(question: str) -> list[str]:
    """Returns the search terms in lower case: quoted phrases, then the most specific words, each cut to its stem."""
    phrases = [next(filter(None, match.groups())).strip().lower() for match in _PHRASE.finditer(question)]
    words = dict.fromkeys(_WORD.findall(question))  # a set would lose the order
    telling = [word for word in words if len(word) > 2 and word.lower() not in STOP_WORDS]
    telling.sort(key=lambda word: (not _is_name(word), -len(word)))
    return [*dict.fromkeys(phrases)][:MAX_PHRASES] + [*dict.fromkeys(map(stem, telling))][:MAX_WORDS]


def _is_name(word: str) -> bool:
    """Whether a word looks like a name, with digits, underscores or capitals inside; such words are rare."""
    return bool(re.search(r"[\d_.]", word)) or not word[1:].islower()


def stem(word: str) -> str:
    """Returns the beginning that a word shares with its plural, as the search also finds parts of words."""
    word = word.lower().removesuffix("'s")
    for ending in ("ies", "s"):
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) > 3:
            return word.removesuffix(ending)
    return word


def parse_files(result: str) -> list[str]:
    """Returns the paths in a result of `list_files`."""
    return [line.partition("\t")[0] for line in result.splitlines() if "\t" in line]


def parse_hits(needle: str, result: str) -> list[Hit]:
    """Returns the hits in a result of `search_files`, without those in earlier reports and in pictures."""
    matches = filter(None, map(_HIT.match, result.split("\n")))
    hits = [Hit(needle, match[1], int(match[2])) for match in matches]
    return [hit for hit in hits if not hit.path.startswith(REPORTS) and not hit.path.endswith(PICTURES)]


def parse_window(path: str, result: str) -> Window:
    """Returns the lines in a result of `read_file`."""
    numbered = (line.partition("\t") for line in result.split("\n")[1:])
    return Window(path, {int(number): text for number, tab, text in numbered if tab and number.isdecimal()})


def best_places(hits: Iterable[Hit]) -> list[tuple[str, int]]:
    """Returns the most relevant lines: those with the most different terms nearby, and with terms not yet covered."""
    words = _words_by_line(hits)
    near = {
        (path, line): set().union(*(words.get((path, other), set()) for other in _around(line))) for path, line in words
    }
    commonness = Counter(needle for found in words.values() for needle in found)
    covered: set[str] = set()

    def worth(place: tuple[str, int]) -> tuple[int, float]:
        fresh = len(near[place] - covered)
        return _weight(near[place]) + fresh, sum(1 / commonness[needle] for needle in near[place])

    chosen: list[tuple[str, int]] = []
    candidates = sorted(words)
    while candidates and len(chosen) < MAX_WINDOWS:
        best = max(candidates, key=worth)
        if chosen and 2 * _weight(near[best]) < _weight(near[chosen[0]]):
            break  # the remaining lines are about something else
        chosen.append(best)
        covered |= near[best]
        full = sum(path == best[0] for path, _ in chosen) == MAX_WINDOWS_PER_FILE
        candidates = [
            (path, line) for path, line in candidates if path != best[0] or not (full or abs(line - best[1]) < WINDOW)
        ]
    return chosen


def _weight(found: Iterable[str]) -> int:
    """Returns the number of different terms; names and phrases count double, as they rarely occur by chance."""
    return sum(2 if re.search(r"[\d\s_.-]", needle) else 1 for needle in found)


def _words_by_line(hits: Iterable[Hit]) -> dict[tuple[str, int], set[str]]:
    words: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for hit in hits:
        words[hit.path, hit.line].add(hit.needle)
    return dict(words)


def _around(line: int) -> range:
    return range(line - NEAR, line + NEAR + 1)


def findings(windows: Sequence[Window], searched: Sequence[str]) -> list[Finding]:
    """Returns the best lines of the windows, a few from each, without duplicates."""
    chosen: dict[str, tuple[int, Finding]] = {}
    for window in windows:
        candidates = sorted(_candidates(window, searched), key=lambda candidate: -candidate[0])
        fresh = [candidate for candidate in candidates if candidate[1].quote not in chosen]
        chosen.update({finding.quote: (worth, finding) for worth, finding in fresh[:MAX_FINDINGS_PER_WINDOW]})
    best = sorted(chosen.values(), key=lambda candidate: -candidate[0])
    return [finding for _, finding in best[:MAX_FINDINGS]]


def _candidates(window: Window, searched: Sequence[str]) -> Iterator[tuple[int, Finding]]:
    """Yields each line with a search term, and its score: terms on the line count more than terms nearby."""
    words = {line: {needle for needle in searched if needle in text.lower()} for line, text in window.lines.items()}
    for line, found in words.items():
        if found:
            near = set().union(*(words.get(other, set()) for other in _around(line)))
            text = window.lines[line].strip()
            says_little = text.startswith("#") or len(text) < SHORT
            worth = 2 * _weight(found) + _weight(near) - (2 if says_little else 0)
            yield worth, Finding(window.path, line, _excerpt(text, found))


def _excerpt(text: str, found: set[str]) -> str:
    """Returns the text, or the part of a long one with the first term."""
    if len(text) <= MAX_QUOTE:
        return text
    first = min(text.lower().find(needle) for needle in found)
    start = max(0, min(first - MAX_QUOTE // 3, len(text) - MAX_QUOTE))
    return text[start : start + MAX_QUOTE].strip()
