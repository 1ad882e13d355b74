"""Which task, or which general capability, a wish in plain words means."""

from dataclasses import asdict, dataclass

from pareta_sandbox.models import catalogue


@dataclass(frozen=True, slots=True)
class Lane:
    """A general capability, and the words it is asked with."""

    id: str
    label: str
    words: tuple[str, ...]

    def record(self) -> dict[str, object]:
        """Render the capability as the service does."""
        return {"id": self.id, "label": self.label, "category": self.label, "category_id": self.id, "desc": None}


LANES = (
    Lane("coding", "Coding", ("code", "coding", "program", "python", "refactor", "unit test")),
    Lane("agentic", "Agents and tools", ("agent", "tool call", "browse", "workflow")),
    Lane("vision", "Vision", ("photo", "picture", "screenshot", "ocr")),
    Lane("asr", "Speech to text", ("transcribe", "speech to text", "dictation")),
    Lane("tts", "Text to speech", ("read aloud", "text to speech", "voice over")),
    Lane("chat", "Chat", ("chat", "assistant", "conversation")),
)
UNSUPPORTED = ("generate an image", "draw", "video", "music", "3d model")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A task that a wish may mean."""

    task_id: str
    score: float
    confidence: str


def matched(query: str, top_k: int) -> dict[str, object]:
    """Find the task that fits a wish best, else a capability; say so when the service has neither."""
    ranked = [Candidate(task, score, catalogue.confidence(score)) for task, score in catalogue.scores(query)]
    chosen = ranked[0] if ranked else None
    text = query.lower()
    unsupported = next((word for word in UNSUPPORTED if word in text), None) if chosen is None else None
    fitting = (lane for lane in LANES if any(word in text for word in lane.words))
    lane = next(fitting, None) if chosen is None and unsupported is None else None
    return {
        "query": query,
        "type": "task" if chosen else "unsupported" if unsupported else "capability" if lane else "none",
        "matched": chosen is not None or lane is not None,
        "chosen": asdict(chosen) if chosen else None,
        "capability": lane.record() if lane else None,
        "candidates": [asdict(candidate) for candidate in ranked[:top_k]],
        "ambiguous": len(ranked) > 1 and ranked[0].score == ranked[1].score,
        "reasoning": _reasoning(chosen, unsupported, lane),
        "confidence": chosen.confidence if chosen else None,
        "matcher": "keyword",
    }


def _reasoning(chosen: Candidate | None, unsupported: str | None, lane: Lane | None) -> str:
    if chosen:
        return f"the words of the query fit '{chosen.task_id}' best"
    if unsupported:
        return f"'{unsupported}' is nothing that the service does"
    return f"no task fits, but the capability '{lane.id}' does" if lane else "no task fits"
