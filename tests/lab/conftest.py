"""One lab for all of tests/lab, reached from the pytest process without entering its namespaces."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.daemon import leftovers
from lab.metadata.server import MetadataServer, Service
from lab.network import namespaces
from lab.network.lab_network import LabNetwork
from lab.settings import Settings
from tests.support.labs import environment, own_name
from tests.support.metadata import instance_at, issue
from tests.support.running_lab import RunningLab, running

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def lab() -> Iterator[RunningLab]:
    """A lab with both operating systems, for all tests of this suite."""
    with running(Settings.load(environment(own_name("tests")))) as made:
        yield made


@pytest.fixture(scope="session")
def ec2(lab: RunningLab) -> Any:
    return lab.client("ec2")


@pytest.fixture(scope="session")
def autoscaling(lab: RunningLab) -> Any:
    return lab.client("autoscaling")


@pytest.fixture(scope="session")
def elbv2(lab: RunningLab) -> Any:
    return lab.client("elbv2")


@pytest.fixture(scope="session")
def ssm(lab: RunningLab) -> Any:
    return lab.client("ssm")


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A lab's network with a metadata service and no daemon, for machines and images alone."""
    state = tmp_path_factory.mktemp("bare") / "state"
    settings = Settings(name=own_name("bare", state), state=state, cache=Settings.load().cache)
    leftovers.remove(settings)
    LabNetwork(settings).create()
    answers = Service(instance_at, issue)
    metadata = namespaces.call(settings.netns_path, lambda: MetadataServer(answers))
    threading.Thread(target=metadata.serve_forever, daemon=True).start()
    try:
        yield settings
    finally:
        metadata.shutdown()
        metadata.server_close()
        leftovers.remove(settings)


@pytest.fixture(scope="session")
def base_root(bare: Settings) -> Path:
    """The root directory of the Amazon Linux 2023 stand-in."""
    from lab.standin.build import base_image

    bare.cache.mkdir(parents=True, exist_ok=True)
    return base_image("al2023", bare.cache, lambda message: print(f"base image: {message}", file=sys.stderr))
