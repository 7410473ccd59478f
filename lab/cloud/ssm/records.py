"""The records of Systems Manager in one region: documents that are checked, and commands that machines really run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from moto.ec2.models import ec2_backends
from moto.ssm import urls
from moto.ssm.exceptions import InvalidDocument, InvalidDocumentContent, SSMException, ValidationException
from moto.ssm.models import Document, Documents, SimpleSystemManagerBackend

from lab.cloud.ec2.instance_records import GONE
from lab.cloud.reconciler import lock
from lab.cloud.ssm import documents, session_documents
from lab.cloud.ssm.command_records import Command, Invocation, RateError, limit
from lab.cloud.ssm.parameter_records import ParameterRecords
from lab.cloud.ssm.run_command import Managed, RunCommand
from lab.cloud.ssm.session_records import Sessions

if TYPE_CHECKING:
    from lab.cloud.ssm.session_manager import SessionManager

DEFAULT_DELIVERY_SECONDS = 3600
SHORTEST_DELIVERY_SECONDS = 30
MOST_INSTANCE_IDS = 50
AMAZON_DOCUMENTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "AWS-RunShellScript": ("Command", documents.RUN_SHELL_SCRIPT),
    **{name: ("Session", content) for name, content in session_documents.AMAZON_DOCUMENTS.items()},
}
"""Name → type and content."""
SESSION_PLATFORMS = ["Windows", "Linux", "MacOS"]


class LabDocument(Document):
    """moto's record with the platforms that the document's steps run on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        session = self.document_type == "Session"
        self.platform_types = SESSION_PLATFORMS if session else documents.platforms(self.content_json)


class LabSsmBackend(ParameterRecords, SimpleSystemManagerBackend):
    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.run_command = RunCommand()
        self.sessions = Sessions()
        for name, (kind, content) in AMAZON_DOCUMENTS.items():
            self._documents[name] = Documents(_amazon_document(name, kind, content))

    _url_module = urls
    manager: ClassVar[SessionManager]
    """Of the whole lab; not a record."""

    # Documents

    def create_document(self, content: str, *args: Any, **kwargs: Any) -> Documents:
        kind = kwargs["document_type"] or "Command"
        if kind not in ("Command", "Session"):
            raise ValidationException(f"The lab has documents of the types Command and Session, not {kind}.")
        kwargs["document_type"] = kind
        _check_content(content, kwargs["document_format"], kind)
        return super().create_document(content, *args, **kwargs)

    def update_document(self, content: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        _refuse_amazon(kwargs["name"])
        kind = self.document(kwargs["name"]).document_type
        _check_content(content, kwargs["document_format"], kind)
        return super().update_document(content, *args, **kwargs)

    def delete_document(self, name: str, *args: Any, **kwargs: Any) -> None:
        _refuse_amazon(name)
        super().delete_document(name, *args, **kwargs)

    def get_document(self, name: str, document_version: str | None, **kwargs: Any) -> dict[str, Any]:
        return super().get_document(name=name, document_version=_version(document_version), **kwargs)

    def describe_document(self, name: str, document_version: str | None, **kwargs: Any) -> dict[str, Any]:
        return super().describe_document(name=name, document_version=_version(document_version), **kwargs)

    def document(self, name: str, version: str | None = None) -> Document:
        """Raises InvalidDocument."""
        return self._get_documents(name).find(_version(version))

    # Managed instances

    def managed_instances(self) -> list[Managed]:
        """Those whose agent has registered and that are not terminated."""
        there = self.instances()
        for managed in self.run_command.managed():
            if managed.instance_id not in there:
                self.run_command.forget(managed.instance_id)
        return self.run_command.managed()

    def instances(self) -> dict[str, Mapping[str, str]]:
        """Instance id → tags, of every EC2 instance of the region that is not gone."""
        with lock:
            return {
                instance.id: {tag["key"]: tag["value"] for tag in instance.get_tags()}
                for instance in ec2_backends[self.account_id][self.region_name].all_instances()
                if instance.state not in GONE
            }

    # Commands

    def start_command(self, request: Mapping[str, Any]) -> Command:
        """SendCommand: raises what the API would, else the command is on its way."""
        document = self._command_document(request)
        content = document.content_json
        try:
            values = documents.resolve_parameters(content, request.get("Parameters") or {})
        except documents.ParameterError as error:
            raise SSMException("InvalidParameters", str(error)) from error
        targets = self._targets(request)
        delivery = int(request.get("TimeoutSeconds") or DEFAULT_DELIVERY_SECONDS)
        if delivery < SHORTEST_DELIVERY_SECONDS:
            raise ValidationException(f"TimeoutSeconds is {delivery}; the least is {SHORTEST_DELIVERY_SECONDS}.")
        try:
            concurrency = limit(request.get("MaxConcurrency") or "50", len(targets), least=1)
            errors_allowed = limit(request.get("MaxErrors") or "0", len(targets), least=0)
        except RateError as error:
            raise ValidationException(f"MaxConcurrency or MaxErrors: {error}") from error
        command = Command(
            command_id=str(uuid.uuid4()),
            document_name=document.name,
            document_version=document.document_version,
            document=content,
            steps=documents.steps_of(content),
            values=values,
            request=request,
            requested_at=self.run_command.now(),
            delivery_seconds=delivery,
            execution_seconds=documents.execution_seconds(content, values),
            invocations={m.instance_id: Invocation(m.instance_id, _computer_name(m)) for m in targets},
            concurrency=concurrency,
            errors_allowed=errors_allowed,
        )
        self.run_command.send(command)
        return command

    def _command_document(self, request: Mapping[str, Any]) -> Document:
        name = str(request.get("DocumentName") or "").rpartition(":document/")[2]
        document = self.document(name, request.get("DocumentVersion"))
        if document.document_type != "Command":
            raise InvalidDocument(f"Document {name} is of type {document.document_type}, not Command.")
        if (expected := request.get("DocumentHash")) and expected != document.hash:
            raise InvalidDocument("The hash of the document is not the one that the request names.")
        if "Linux" not in document.platform_types:
            raise SSMException(
                "UnsupportedPlatformType", f"Document {name} is for {document.platform_types}; the hosts run Linux."
            )
        return document

    def _targets(self, request: Mapping[str, Any]) -> list[Managed]:
        ids, targets = request.get("InstanceIds") or [], request.get("Targets") or []
        if bool(ids) == bool(targets):
            raise ValidationException("A command takes either InstanceIds or Targets.")
        if len(ids) > MOST_INSTANCE_IDS:
            raise ValidationException(f"InstanceIds has {len(ids)} items; the most is {MOST_INSTANCE_IDS}.")
        if len(set(ids)) != len(ids):
            raise SSMException("DuplicateInstanceId", "An instance id is given twice.")
        managed = {m.instance_id: m for m in self.managed_instances()}
        if unknown := [i for i in ids if i not in managed]:
            message = f"Instances [[{', '.join(unknown)}]] not in a valid state for account {self.account_id}"
            raise SSMException("InvalidInstanceId", message)
        tags = self.instances()
        chosen = ids or [i for i in managed if all(_matches(i, tags.get(i, {}), target) for target in targets)]
        return [managed[i] for i in chosen]

    def commands(self, command_id: str | None = None, instance_id: str | None = None) -> list[Command]:
        """Newest first. Raises InvalidCommandId, InvalidInstanceId."""
        found = self.run_command.commands()
        if command_id:
            found = [c for c in found if c.command_id == command_id]
            if not found:
                raise SSMException("InvalidCommandId", f"There is no command {command_id}.")
        if instance_id:
            found = [c for c in found if instance_id in c.invocations]
        return found


def _amazon_document(name: str, kind: str, content: Mapping[str, Any]) -> Document:
    document = LabDocument(
        account_id="Amazon",
        name=name,
        version_name="",
        content=json.dumps(content),
        document_type=kind,
        document_format="JSON",
        requires=[],
        attachments=[],
        target_type="",
    )
    if kind == "Command":
        document.platform_types = ["Linux", "MacOS"]
    return document


def _check_content(content: str, document_format: str, kind: str) -> None:
    validate = session_documents.validate if kind == "Session" else documents.validate
    try:
        validate(documents.parse(content, document_format))
    except documents.DocumentError as error:
        raise InvalidDocumentContent(str(error)) from error


def _refuse_amazon(name: str) -> None:
    if name in AMAZON_DOCUMENTS:
        raise SSMException("InvalidDocumentOperation", f"{name} belongs to Amazon.")


def _version(asked: str | None) -> str | None:
    """moto knows $LATEST, but not $DEFAULT."""
    return None if asked == "$DEFAULT" else asked


def _computer_name(managed: Managed) -> str:
    return str(managed.information.get("ComputerName", ""))


def _matches(instance_id: str, tags: Mapping[str, str], target: Mapping[str, Any]) -> bool:
    """One target of SendCommand: `tag:NAME`, `tag-key` or `InstanceIds`, with any of its values."""
    key, values = str(target["Key"]), _texts(target.get("Values"))
    if key.startswith("tag:"):
        return tags.get(key.removeprefix("tag:")) in values
    if key == "tag-key":
        return any(value in tags for value in values)
    if key.lower() == "instanceids":
        return instance_id in values or "*" in values
    raise SSMException("InvalidTarget", f"The lab finds targets by tag:NAME, tag-key and InstanceIds, not by {key}.")


def _texts(values: Iterable[Any] | None) -> Sequence[str]:
    return [str(value) for value in values or ()]
