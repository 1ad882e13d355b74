"""The answerers read the prompt, and a higher level gives better answers."""

import json
from importlib.metadata import distributions

import pytest

from pareta_sandbox.models.answerers import reply
from pareta_sandbox.models.answerers.licences import identify
from pareta_sandbox.models.prompts import listed_labels, read

LEVELS = range(1, 6)
BSD2 = "Redistribution and use in source and binary forms, with or without modification, are permitted."
BSD3 = f"{BSD2} Neither the name of the holder nor the names of its contributors may be used to endorse products."


def test_a_title_is_all_the_weakest_licence_reader_knows() -> None:
    assert identify(1, "MIT License\n\nwhatever") == "MIT"
    assert identify(1, "Permission is hereby granted, free of charge") == "NOASSERTION"
    assert identify(2, "Permission is hereby granted, free of charge") == "MIT"


def test_only_the_stronger_tell_bsd_2_from_bsd_3() -> None:
    assert [identify(level, BSD2) for level in LEVELS] == ["NOASSERTION", "BSD-3-Clause"] + ["BSD-2-Clause"] * 3
    assert {identify(level, BSD3) for level in (2, 3, 4, 5)} == {"BSD-3-Clause"}


def test_licences_installed_here_are_read_better_by_stronger_models() -> None:
    texts = [
        (licence, text)
        for found in distributions()
        if (licence := "".join(found.metadata.get_all("License-Expression") or ()))
        in {"MIT", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause", "MPL-2.0"}
        and (text := next((f.read_text(encoding="utf-8") for f in found.files or () if f.name == "LICENSE"), ""))
    ]
    assert len(texts) > 20
    right = [sum(identify(level, text) == licence for licence, text in texts) / len(texts) for level in LEVELS]
    assert 0.4 < right[0] < 0.85
    assert right[0] < right[1] <= right[4]
    assert right[4] > 0.95


def test_a_sentence_is_given_unless_an_identifier_is_asked_for() -> None:
    assert reply("license-identification", 3, "", f"What is this?\n\n{BSD3}") == "This is the BSD-3-Clause licence."
    assert reply("license-identification", 3, "SPDX only.", BSD3) == "BSD-3-Clause"


@pytest.mark.parametrize(
    ("prompt", "instruction", "document"),
    [
        ("Which licence?\n\nMIT License\n\nPermission", "Which licence?", "MIT License\n\nPermission"),
        ("MIT License\n\nPermission", "", "MIT License\n\nPermission"),
        ("Classify this review: I love it", "Classify this review", "I love it"),
    ],
)
def test_the_instruction_is_told_from_the_document(prompt: str, instruction: str, document: str) -> None:
    ask = read("", prompt)
    assert (ask.instruction, ask.document) == (instruction, document)


def test_answers_use_the_labels_that_are_offered() -> None:
    offered = "Which team? One of: Finance, Engineering, Access.\n\n"
    assert reply("support-ticket-routing", 5, "", f"{offered}I was charged twice, please refund me.") == "Finance"
    assert reply("sentiment-classification", 5, "", "One of: pos, neg, neu?\n\nI love it") == "pos"
    assert listed_labels("Answer with one of: a, b or c.") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "feelings"),
    [
        ("I love it", ["positive"] * 5),
        ("This is not a good blender", ["positive"] + ["negative"] * 4),
        ("Great design and a nice box, however the motor is noisy", ["positive"] * 3 + ["negative"] * 2),
        ("Worth every penny", ["neutral"] * 4 + ["positive"]),
    ],
)
def test_sentiment_grows_with_negation_contrast_and_idiom(text: str, feelings: list[str]) -> None:
    assert [
        reply("sentiment-classification", level, "", f"Positive or negative?\n\n{text}") for level in LEVELS
    ] == feelings


def test_fields_come_under_the_names_they_are_asked_by() -> None:
    text = "Copyright (c) 2014-2021 The Kestrel Authors\n\nGoverned by the laws of the State of Delaware."
    answer = reply(
        "contract-extraction", 4, "", f"Extract the holder, the year and the jurisdiction as JSON.\n\n{text}"
    )
    assert json.loads(answer) == {"holder": "The Kestrel Authors", "year": "2014", "jurisdiction": "Delaware"}


def test_what_a_text_does_not_say_is_null() -> None:
    assert json.loads(reply("contract-extraction", 4, "", "Nothing here.")) == {"copyright_holder": None, "year": None}
