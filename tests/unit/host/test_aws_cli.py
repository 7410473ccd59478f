"""The AWS command line as programs on a host call it, and what a person is told when a call fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.ecommerce.fleet.plugins.module_utils._host import aws_cli
from ansible_collections.ecommerce.fleet.plugins.module_utils._host.aws_cli import Aws, AwsError


@pytest.mark.parametrize(
    ("operation", "words", "expected"),
    [
        ("get-secret-value", "An error occurred (ResourceNotFoundException) when calling …", "no secret prod/db in eu-west-1"),
        ("get-secret-value", "An error occurred (AccessDeniedException) when calling …", "needs secretsmanager:GetSecretValue on it"),
        ("get-parameters-by-path", "An error occurred (AccessDeniedException) when calling …", "needs ssm:GetParametersByPath on it"),
        ("get-parameter", "An error occurred (ParameterNotFound) when calling …", "no parameter prod/db in eu-west-1"),
        ("get-parameter", "An error occurred (AccessDeniedException) when calling …", "needs ssm:GetParameter on it"),
        ("put-parameter", "An error occurred (AccessDeniedException) when calling …", "may not write the parameter prod/db in"),
        ("put-parameter", "Unable to locate credentials. You can configure …", "can't be written; attach an instance profile"),
        ("get-object", "An error occurred (NoSuchKey) when calling …", "no artifact prod/db in eu-west-1"),
        ("get-object", "An error occurred (AccessDenied) when calling …", "needs s3:GetObject on it"),
        ("get-object", "An error occurred (403) when calling …", "needs s3:GetObject on it"),
        ("get-parameter", "Unable to locate credentials. You can configure …", "attach an instance profile"),
        ("get-parameter", '\nCould not connect to the endpoint URL: "https://x"\n', "can't be read: Could not connect"),
        ("get-parameter", "", "no answer in 60 s"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do(operation: str, words: str, expected: str) -> None:
    assert expected in aws_cli.explain(operation, "prod/db", "eu-west-1", words)


def test_an_artifact_is_named_by_its_address() -> None:
    words = ("--bucket", "artifacts", "--key", "releases/1/shop.tar.gz", "artifact")
    assert aws_cli.subject("get-object", words) == "s3://artifacts/releases/1/shop.tar.gz"


def test_the_command_line_is_asked_with_bounded_times_and_only_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "aws"
    program.write_text('#!/bin/sh\nprintf \'{"expected": "%s"}\' "$*"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    expected = Aws("").call("secretsmanager", "get-secret-value", "--secret-id", "prod/db")["expected"]
    assert expected.startswith("secretsmanager get-secret-value --secret-id prod/db --region us-west-2 --output json")
    program.write_text("#!/bin/sh\necho 'An error occurred (AccessDeniedException) when …' >&2\nexit 254\n")
    with pytest.raises(AwsError, match="may not read the secret prod/db in us-west-2"):
        Aws("").call("secretsmanager", "get-secret-value", "--secret-id", "prod/db")
    program.write_text("#!/bin/sh\necho 'An error occurred (ParameterNotFound) when …' >&2\nexit 254\n")
    with pytest.raises(AwsError) as refusal:
        Aws("").call("ssm", "get-parameter", "--name", "/x")
    assert refusal.value.missing
    program.write_text("#!/bin/sh\necho no JSON\n")
    with pytest.raises(AwsError, match="answer about prod/db is not JSON"):
        Aws("").call("secretsmanager", "get-secret-value", "--secret-id", "prod/db")
    program.write_text("#!/bin/sh\nexec sleep 5\n")
    with pytest.raises(AwsError, match="no answer in 1 s"):
        Aws("").call("ssm", "get-parameter", "--name", "/x", seconds=1)
