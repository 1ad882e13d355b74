"""Tags that name the owner of the money in `pareta-pipeline spend`."""

from typing import Annotated

from pydantic import ConfigDict, Field

from pareta_batch.spec_base import Spec

TagText = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f=+@-][^\x00-\x1f]*$")]
"""A tag. It begins with none of = + - @, which a spreadsheet would read as a formula."""


class Tags(Spec):
    """The team and the project that own the money of a run. They change neither the requests nor their keys."""

    model_config = ConfigDict(title="Tags")

    team: TagText | None = Field(None, title="Team", description="Team that pays, in `pareta-pipeline spend`")
    project: TagText | None = Field(None, title="Project", description="Project that pays")

    def named(self) -> dict[str, str]:
        """Return the tags that are set, by name."""
        return {name: str(value) for name, value in self.model_dump(exclude_none=True).items()}


NO_TAGS = Tags()

TagsField = Annotated[
    Tags,
    Field(title="Tags", description="Owner of the money: team and project, for `pareta-pipeline spend`"),
]
