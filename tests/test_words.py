"""Words: docstrings in plain technical English, so that an engineer in a hurry reads each of them once."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "pareta_batch",
    "pareta_cli",
    "pareta_client",
    "pareta_evals",
    "pareta_report",
    "pareta_sandbox",
    "flows",
    "tasks",
    "benchmarks",
    "examples",
    "scripts",
)
PENDING: tuple[str, ...] = ()
"""Packages whose docstrings are still to be rewritten. A package that is done leaves this list."""
MAX_WORDS_IN_A_SENTENCE = 25

VERBS = frozenset(
    """
    Abort Acquire Add Adjust Admit Allow Announce Answer Append Apply Approximate Ask Assemble Assert Assign Attach
    Authenticate Await Begin Bill Bind Block Bound Break Build Cache Calculate Call Cancel Cap Change Charge Check
    Choose Classify Clean Clear Close Collect Combine Commit Compare Compile Complete Compute Configure Confirm Connect
    Consume Continue Convert Copy Correct Count Create Cut Deal Debit Decide Declare Decode Decrease Defer Delete
    Deliver Deploy Derive Describe Detect Determine Disable Discard Dispatch Divide Download Draw Drain Drop Emit
    Enable Encode End Enforce Ensure Enter Escape Estimate Evaluate Exclude Execute Exit Expand Export Extend Extract
    Fail Fetch Fill Filter Find Finish Fit Flag Flush Follow Forget Format Free Generate Group Grow Halve Handle Hash
    Hide Hold Identify Ignore Import Include Increase Inject Insert Install Interpret Invoke Iterate Join Keep Kill
    Label Learn Leave Lease Limit List Listen Load Lock Log Look Lower Make Map Mark Match Measure Merge Migrate Move
    Multiply Name Normalise Normalize Note Notify Obtain Open Order Pack Parse Pass Pause Perform Pick Place Plan Play
    Plot Poll Pool Post Predict Prefer Prepare Present Print Process Promote Propose Prove Publish Pull Put Query Queue
    Quote Raise Rank Rate Read Rebuild Receive Recommend Record Recover Redact Reduce Refresh Refund Refuse Refute
    Register Reject Release Remove Rename Render Reopen Repeat Replace Replay Report Request Require Reserve Reset
    Resolve Restart Restore Restrict Resume Retry Return Revoke Round Route Run Sample Save Scale Scan Schedule Score
    Search Select Send Serialise Serialize Serve Set Settle Shift Show Shrink Shut Sign Simulate Skip Sleep Sort Split
    Spread Start State Stop Store Stream Strip Submit Subtract Sum Summarise Summarize Suspend Switch Tag Take Terminate
    Test Tighten Time Top Total Trace Track Transfer Translate Treat Trim Truncate Try Turn Undo Unpack Update Upload
    Use Validate Verify Wait Wake Warn Watch Weigh Widen Withdraw Wrap Write Yield
    """.split()  # noqa: SIM905 - a list of this length is read more easily as a text
)
NO_NOUN_PHRASE = re.compile(
    r"(Give|Say|Tell|Have|Let|Make sure|What|How|Where|Which|Who|Why|Whether|Whatever|Everything)\b"
)
DIALECT = re.compile(
    r"\b(whoever|whatever|everybody|nobody|somebody|anybody|so (?:many|much)|as (?:many|much) as there|"
    r"that is none|which is none|stands? (?:there|here|in|on|for|at|already|beside)|mend(?:s|ed)?|the rest|"
    r"is no good|at the door|beforehand|thereby|herein|one likes|of its own accord|what is there)\b",
    re.IGNORECASE,
)
CODE = re.compile(r"``[^`]*``|`[^`]*`|https?://\S+|\"[^\"\n]*\"|“[^”]*”")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(packages: Sequence[str]) -> Iterator[tuple[str, Documented, str]]:
    """Yield the place, the node and the docstring of everything in the packages that has one."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, Documented) and (text := ast.get_docstring(node)):
                    line = 1 if isinstance(node, ast.Module) else node.lineno
                    yield f"{path.relative_to(ROOT)}:{line}", node, text


def is_property(node: Documented) -> bool:
    """Return whether a function is read as an attribute: a noun phrase describes it."""
    names = [ast.unparse(each) for each in getattr(node, "decorator_list", [])]
    return any(name.endswith("property") or name in ("computed_field",) for name in names)


def sentences_of(text: str) -> Iterator[str]:
    """Yield the sentences of the prose of a docstring: no code, no tables, no lists of arguments."""
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.splitlines()
        if any(line.startswith("    ") or line.lstrip().startswith(("|", "- ", "* ", ">>>", "::")) for line in lines):
            continue
        prose = CODE.sub("x", " ".join(line.strip() for line in lines))
        yield from (each for each in re.split(r"(?<=[.!?;:])\s+", prose) if each)


def markdown_prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page without its code, link targets and generated tables, with their numbers."""
    fenced = generated = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif line.startswith("<!--"):
            generated = "generated from" in line
        elif not fenced and not generated:
            yield number, re.sub(r"\]\([^)]*\)", "]", CODE.sub("x", line))


def markdown_faults() -> list[str]:
    """Return every word of dialect in the README and the docs, with its place."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {match.group()!r} is dialect"
        for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        for number, line in markdown_prose(path.read_text(encoding="utf-8"))
        for match in DIALECT.finditer(line)
    ]


def first_word_fault(node: Documented, text: str) -> str | None:
    first = text.split()[0].strip("`.,:;")
    if NO_NOUN_PHRASE.match(text) and not (first == "Whether" and is_property(node)):
        return f"begins with {first!r}"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_property(node) and first not in VERBS:
        return f"begins with {first!r}, which is no verb of the list"
    return None


def faults(*packages: str) -> list[str]:
    """Return every fault in these packages, with its place."""
    found = []
    for place, node, text in documented(packages):
        if fault := first_word_fault(node, text):
            found.append(f"{place}: {fault}")
        prose = CODE.sub("x", text)
        found += [f"{place}: {match.group()!r} is dialect" for match in DIALECT.finditer(prose)]
        for sentence in sentences_of(text):
            if (words := len(sentence.split())) > MAX_WORDS_IN_A_SENTENCE:
                found.append(f"{place}: a sentence of {words} words: {sentence[:60]}…")
    return found


@pytest.mark.parametrize("package", [each for each in PACKAGES if each not in PENDING] or ["tests/fundamentals"])
def test_docstrings_are_plain_technical_english(package: str) -> None:
    found = faults(package)
    assert not found, f"{len(found)} faults:\n" + "\n".join(found[:200])


def test_the_pages_are_plain_technical_english() -> None:
    found = markdown_faults()
    assert not found, f"{len(found)} faults:\n" + "\n".join(found)


def test_code_and_generated_tables_of_a_page_are_not_prose() -> None:
    generated = "<!-- end states: generated from t.py -->\nmend it\n<!-- end of end states -->"
    page = f"`so many` [mend](the-rest.md)\n```\nwhoever\n```\n{generated}\nthe rest"
    assert [(n, DIALECT.findall(line)) for n, line in markdown_prose(page)] == [(1, ["mend"]), (8, ["the rest"])]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('def f() -> None:\n    """Give a number."""', "begins with 'Give'"),
        ('def f() -> None:\n    """A number."""', "begins with 'A', which is no verb of the list"),
        ('class C:\n    """What a row asks."""', "begins with 'What'"),
    ],
)
def test_the_first_word_is_checked(source: str, fault: str) -> None:
    node = ast.parse(source).body[0]
    assert isinstance(node, Documented)
    assert first_word_fault(node, ast.get_docstring(node) or "") == fault


def test_a_property_and_a_class_take_noun_phrases() -> None:
    source = (
        'class C:\n    """A group commit."""\n    @property\n    def rows(self) -> int:\n        """Rows in all."""'
    )
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.ClassDef)
    assert first_word_fault(node, "A group commit.") is None
    assert first_word_fault(node.body[1], "Rows in all.") is None  # type: ignore[arg-type]
