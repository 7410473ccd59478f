"""Parameter Store: what moto leaves out. Values are limited by tier and pattern, SecureStrings are really encrypted."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.kms import kms_backends
from moto.ssm.exceptions import SSMException, ValidationException
from moto.ssm.models import Parameter

LARGEST_STANDARD = 4096
LARGEST_ADVANCED = 8192
PUBLIC = "/aws/service/"


class LabParameter(Parameter):
    """moto's record, with the ciphertext of the region's KMS in place of a readable imitation."""

    value: str
    sealed_in: str | None = None
    """The region whose KMS has encrypted the value."""

    def encrypt(self, value: str) -> str:
        """moto calls this while the parameter is made, when the region is not known: `seal` does it afterwards."""
        return value

    def seal(self, region: str) -> None:
        """Raises InvalidKeyId for a key that the region does not have."""
        try:
            sealed, _ = kms_backends[self.account_id][region].encrypt(
                self.keyid, self.value.encode(), self._context(region)
            )
        except Exception as error:
            raise SSMException("InvalidKeyId", f"The KMS key {self.keyid} can't be used: {error}") from error
        self.value, self.sealed_in = base64.b64encode(sealed).decode(), region

    def decrypt(self, value: str) -> str | None:
        if self.sealed_in is None:
            return value
        kms = kms_backends[self.account_id][self.sealed_in]
        plain, _ = kms.decrypt(base64.b64decode(value), self._context(self.sealed_in))
        return str(plain.decode())

    def _context(self, region: str) -> dict[str, str]:
        return {"PARAMETER_ARN": f"arn:aws:ssm:{region}:{self.account_id}:parameter/{self.name.lstrip('/')}"}


class ParameterRecords:
    """What the SSM backend does differently from moto's with parameters."""

    def put_parameter(self, name: str, description: str, value: str, *args: Any, **kwargs: Any) -> Parameter:
        before = list(self._parameters[name]) if name in self._parameters else []  # type: ignore[attr-defined]
        pattern = (args[1] if len(args) > 1 else kwargs.get("allowed_pattern")) or (
            before[-1].allowed_pattern if before else None
        )
        if pattern and value and not re.search(pattern, value):
            message = f"Parameter value, cannot be validated against allowedPattern: {pattern}"
            raise SSMException("ParameterPatternMismatchException", message)
        kwargs["tier"] = tier_for(value or "", kwargs.get("tier") or (before[-1].tier if before else "Standard"))
        if kwargs.get("policies") and kwargs["tier"] != "Advanced":
            raise ValidationException("Parameter policies are supported by parameters of the advanced tier only.")
        with self._only_with_versions(name):
            made: Parameter = super().put_parameter(name, description, value, *args, **kwargs)  # type: ignore[misc]
            if made.parameter_type == "SecureString":
                try:
                    made.seal(self.region_name)  # type: ignore[attr-defined]
                except SSMException:
                    self._parameters[name].remove(made)  # type: ignore[attr-defined]
                    raise
            return made

    def label_parameter_version(self, name: str, *args: Any) -> Any:
        with self._only_with_versions(name):
            return super().label_parameter_version(name, *args)  # type: ignore[misc]

    def unlabel_parameter_version(self, name: str, *args: Any) -> Any:
        with self._only_with_versions(name):
            return super().unlabel_parameter_version(name, *args)  # type: ignore[misc]

    @contextmanager
    def _only_with_versions(self, name: str) -> Iterator[None]:
        """moto's dictionary makes an entry when it is asked for one, and then fails over it: it is not left behind."""
        try:
            yield
        finally:
            known = self._parameters  # type: ignore[attr-defined]
            if name in known and not known[name]:
                del known[known.normalize_name(name)]

    def describe_parameters(self, filters: Any, parameter_filters: Any) -> list[Parameter]:
        """Amazon's public parameters are shown only to who asks for their path."""
        found = super().describe_parameters(filters, parameter_filters)  # type: ignore[misc]
        asked = [v for f in (parameter_filters or filters or []) for v in f.get("Values", [])]
        if any(v.startswith("/aws") for v in asked):
            return found
        return [p for p in found if not p.name.startswith(PUBLIC)]


def tier_for(value: str, tier: str) -> str:
    """The tier that a value ends up in. Raises ValidationException when it is too long for it."""
    if tier == "Intelligent-Tiering":
        tier = "Advanced" if len(value) > LARGEST_STANDARD else "Standard"
    if tier == "Standard" and len(value) > LARGEST_STANDARD:
        raise ValidationException(
            f"Standard tier parameters support a maximum parameter value of {LARGEST_STANDARD} characters. "
            "To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
        )
    if len(value) > LARGEST_ADVANCED:
        raise ValidationException(
            f"Advanced tier parameters support a maximum parameter value of {LARGEST_ADVANCED} characters."
        )
    return tier
