"""Match of a query in natural language to a task or to a general capability."""

from dataclasses import asdict, dataclass

from pareta_sandbox.models import catalogue


@dataclass(frozen=True, slots=True)
class Capability:
    """A general capability with its keywords."""

    id: str
    label: str
    words: tuple[str, ...]

    def record(self) -> dict[str, object]:
        """Return the capability as a JSON object of the service."""
        return {"id": self.id, "label": self.label, "category": self.label, "category_id": self.id, "desc": None}


CAPABILITIES = (
    Capability("coding", "Coding", ("code", "coding", "program", "python", "refactor", "unit test")),
    Capability("agentic", "Agents and tools", ("agent", "tool call", "browse", "workflow")),
    Capability("vision", "Vision", ("photo", "picture", "screenshot", "ocr")),
    Capability("asr", "Speech to text", ("transcribe", "speech to text", "dictation")),
    Capability("tts", "Text to speech", ("read aloud", "text to speech", "voice over")),
    Capability("chat", "Chat", ("chat", "assistant", "conversation")),
)
UNSUPPORTED = ("generate an image", "draw", "video", "music", "3d model")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A task that may match a query."""

    task_id: str
    score: float
    confidence: str


def match_query(query: str, top_k: int) -> dict[str, object]:
    """Return the best task for a query, else a capability, else a result without a match."""
    ranked = [Candidate(task, score, catalogue.confidence(score)) for task, score in catalogue.scores(query)]
    chosen = ranked[0] if ranked else None
    text = query.lower()
    unsupported = next((word for word in UNSUPPORTED if word in text), None) if chosen is None else None
    fitting = (each for each in CAPABILITIES if any(word in text for word in each.words))
    capability = next(fitting, None) if chosen is None and unsupported is None else None
    return {
        "query": query,
        "type": "task" if chosen else "unsupported" if unsupported else "capability" if capability else "none",
        "matched": chosen is not None or capability is not None,
        "chosen": asdict(chosen) if chosen else None,
        "capability": capability.record() if capability else None,
        "candidates": [asdict(candidate) for candidate in ranked[:top_k]],
        "ambiguous": len(ranked) > 1 and ranked[0].score == ranked[1].score,
        "reasoning": _reasoning(chosen, unsupported, capability),
        "confidence": chosen.confidence if chosen else None,
        "matcher": "keyword",
    }


def _reasoning(chosen: Candidate | None, unsupported: str | None, capability: Capability | None) -> str:
    if chosen:
        return f"the words of the query fit '{chosen.task_id}' best"
    if unsupported:
        return f"'{unsupported}' is nothing that the service does"
    return f"no task fits, but the capability '{capability.id}' does" if capability else "no task fits"
