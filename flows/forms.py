"""Parameters of deployments: titles of the form, and values completed from the deployment.

A run may set a few fields of a parameter, as in `{"batch": {"max_in_flight": 64}}`. The other fields are those of the
deployment. Reason: docs/decisions/partial-parameters.md.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from tasks import current_flow_run

Json = dict[str, Any]  # JSON of a parameter or of a schema

RUN_ID = "PREFECT__FLOW_RUN_ID"  # set by Prefect in the process of a deployment's run


def titled(title: str) -> Any:  # pydantic types Field as Any
    """Return the annotation of a parameter's title: Prefect replaces the title of a plain `Field` by the name."""
    return Field(json_schema_extra={"title": title})


@dataclass(frozen=True)
class OfDeployment:
    """Annotation of a parameter: a value that is not valid on its own is merged into the deployment's value.

    The schema on the server therefore requires no field. A valid value is taken as it is.
    """

    parameter: str

    def __get_pydantic_core_schema__(self, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        def complete(value: object) -> object:
            return value if _is_valid(value, source) else _completed(value, self.parameter)

        return core_schema.no_info_before_validator_function(complete, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        form = handler(schema)
        _require_nothing(form, handler)
        return form


def merged(changes: Any, own: Any) -> Any:  # JSON values
    """Return `own` with `changes` applied: objects are merged at every depth, any other value replaces."""
    if not isinstance(changes, Mapping) or not isinstance(own, Mapping):
        return changes
    return {**own, **{name: merged(value, own.get(name)) for name, value in changes.items()}}


def _is_valid(value: object, model: type[BaseModel]) -> bool:
    """Check whether a value is valid on its own; an object of the model is."""
    if not isinstance(value, Mapping):
        return True
    try:
        model.model_validate(value)
    except ValidationError:
        return False
    return True


def _completed(changes: object, parameter: str) -> object:
    """Return the value merged into the deployment's, and record it as the parameter of the run.

    The recorded value is shown in the UI. A resumed or retried run reads it, also if the deployment has changed since.
    """
    run_id = os.environ.get(RUN_ID)
    if run_id is None or current_flow_run() is not None:
        # Not a run of a deployment: the value is refused.
        return changes
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(run_id))
        if run.deployment_id is None:
            return changes
        try:
            own = client.read_deployment(run.deployment_id).parameters.get(parameter)
        except ObjectNotFound:
            return changes
        value = merged(changes, own)
        client.update_flow_run(run.id, parameters={**run.parameters, parameter: value})
        return value


def _require_nothing(form: Json, handler: GetJsonSchemaHandler) -> None:
    model = handler.resolve_ref_schema(form)
    model.pop("required", None)
    for field in model.get("properties", {}).values():
        if "$ref" in field:
            _require_nothing(field, handler)
