"""Words that are never right here, and what is said instead; docs/glossary.md has them all. For the lint tests."""

from __future__ import annotations

import re


def _word(pattern: str) -> re.Pattern[str]:
    """The word alone or as a part of an identifier: way_in, ways-in."""
    return re.compile(rf"(?<![A-Za-z]){pattern}(?![A-Za-z])", re.IGNORECASE)


REPLACED = {
    "pass or fail, compliant or non-compliant": _word(
        r"((do|does|did|need)( not|n't|_not)[ _]hold(?![ _](up|its))|(?<!rate )controls? (that )?holds?)"
    ),
    "fix or remediate": _word(r"(mend(s|ed|ing)?|(puts?|putting|sets?|setting)[ _]right)"),
    "access path": _word(r"ways?[ _-]in(?! which)(?! a )"),
    "scanner, validator, verdict": _word(r"(judge[sd]?|judging)"),
    "leftovers": _word(r"rests"),
    "AIDE database": _word(r"AIDE'?s?[ _]record"),
    "errors": _word(r"troubles?"),
    "violations or errors": _word(r"findings"),
}
"""What to say → the words that it replaces."""
