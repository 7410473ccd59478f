"""SSM requests: Run Command and the managed instances, which moto only records or lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ssm.exceptions import InvalidFilterKey, SSMException, ValidationException
from moto.ssm.responses import SimpleSystemManagerResponse

from lab.cloud.ssm import serializers
from lab.cloud.ssm.records import LabSsmBackend
from lab.cloud.ssm.session_api import SessionHandlers

REFUSED = ("NotificationConfig", "ServiceRoleArn", "CloudWatchOutputConfig", "AlarmConfiguration")
SENT = (
    "Comment", "DocumentHash", "DocumentName", "DocumentVersion", "InstanceIds", "MaxConcurrency", "MaxErrors",
    "OutputS3BucketName", "OutputS3KeyPrefix", "Parameters", "Targets", "TimeoutSeconds",
)  # fmt: skip


class LabSsmResponse(SessionHandlers, SimpleSystemManagerResponse):
    @property
    def lab(self) -> LabSsmBackend:
        return self.ssm_backend

    def send_command(self) -> ActionResult:
        for name in REFUSED:
            if self._get_param(name):
                raise ValidationException(f"The lab's Run Command does not do {name}.")
        request = {name: value for name in SENT if (value := self._get_param(name)) is not None}
        return ActionResult({"Command": serializers.command(self.lab.start_command(request))})

    def cancel_command(self) -> ActionResult:
        command = self.lab.commands(self._get_param("CommandId"))[0]
        ids = self._get_param("InstanceIds", [])
        if unknown := [i for i in ids if i not in command.invocations]:
            raise SSMException("InvalidInstanceId", f"Command {command.command_id} has no invocation on {unknown[0]}.")
        self.lab.run_command.cancel(command.command_id, ids)
        return EmptyResult()

    def list_commands(self) -> ActionResult:
        found = self.lab.commands(self._get_param("CommandId"), self._get_param("InstanceId"))
        return self._page("Commands", self._filtered([serializers.command(c) for c in found]), most=50)

    def list_command_invocations(self) -> ActionResult:
        instance_id = self._get_param("InstanceId")
        details = bool(self._get_param("Details", False))
        shown = [
            serializers.invocation(command, invocation, details=details)
            for command in self.lab.commands(self._get_param("CommandId"), instance_id)
            for invocation in command.invocations.values()
            if instance_id in (None, invocation.instance_id)
        ]
        return self._page("CommandInvocations", self._filtered(shown), most=50)

    def get_command_invocation(self) -> ActionResult:
        command = self.lab.commands(self._get_param("CommandId"))[0]
        invocation = command.invocations.get(self._get_param("InstanceId"))
        if invocation is None:
            raise SSMException("InvocationDoesNotExist", "")
        try:
            return ActionResult(serializers.one_invocation(command, invocation, self._get_param("PluginName")))
        except KeyError as error:
            raise SSMException("InvalidPluginName", f"Document {command.document_name} has no step {error}.") from error

    def describe_instance_information(self) -> ActionResult:
        filters = [*self._get_param("Filters", []), *self._get_param("InstanceInformationFilterList", [])]
        now, tags = self.lab.run_command.now(), self.lab.instances()
        shown = [serializers.instance_information(m, now) for m in self.lab.managed_instances()]
        found = [s for s in shown if all(_has(s, tags.get(s["InstanceId"], {}), f) for f in filters)]
        return self._page("InstanceInformationList", found, most=50)

    def _filtered(self, shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            return [s for s in shown if serializers.matches(s, self._get_param("Filters", []))]
        except KeyError as error:
            raise InvalidFilterKey(f"The lab does not filter by {error}.") from error

    def _page(self, name: str, found: list[dict[str, Any]], most: int) -> ActionResult:
        try:
            part, token = serializers.page(
                found, self._get_param("NextToken"), int(self._get_param("MaxResults") or most)
            )
        except ValueError as error:
            raise SSMException("InvalidNextToken", "The specified token isn't valid.") from error
        return ActionResult({name: part, "NextToken": token} if token else {name: part})


def _has(shown: Mapping[str, Any], tags: Mapping[str, str], condition: Mapping[str, Any]) -> bool:
    """A filter of DescribeInstanceInformation in its new (Key, Values) or old (key, valueSet) form."""
    key = str(condition.get("Key") or condition.get("key"))
    values = condition.get("Values") or condition.get("valueSet") or []
    fields = {
        "InstanceIds": "InstanceId",
        "AgentVersion": "AgentVersion",
        "PingStatus": "PingStatus",
        "PlatformTypes": "PlatformType",
        "ResourceType": "ResourceType",
    }
    if key in fields:
        return shown[fields[key]] in values
    if key == "tag-key":
        return any(value in tags for value in values)
    if key.startswith("tag:"):
        return tags.get(key.removeprefix("tag:")) in values
    raise InvalidFilterKey(f"The lab does not filter by {key}.")
