"""Nginx with other than its default values: behind a load balancer, with limits and own directives."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_testing import request

PORT = 8080


def test_it_listens_where_it_should_and_only_there(host: Any) -> None:
    assert request(host, "/health", port=PORT).status == 200
    with pytest.raises(OSError, match="refused"):
        request(host, "/health")


def test_the_load_balancer_is_believed_about_the_client(host: Any) -> None:
    answer = request(host, "/echo", port=PORT, headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})
    assert answer.json["headers"]["x-forwarded-for"] == "203.0.113.9"
    assert answer.json["headers"]["x-forwarded-proto"] == "https"
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


def test_one_client_above_its_rate_gets_429_and_others_do_not(host: Any) -> None:
    greedy = [request(host, "/echo", port=PORT, headers={"X-Forwarded-For": "203.0.113.1"}).status for _ in range(12)]
    assert greedy[:4] == [200] * 4
    assert 429 in greedy
    assert request(host, "/echo", port=PORT, headers={"X-Forwarded-For": "203.0.113.2"}).status == 200


def test_health_is_never_limited(host: Any) -> None:
    assert [request(host, "/health", port=PORT).status for _ in range(12)] == [200] * 12


def test_own_directives_are_in_effect(host: Any) -> None:
    assert request(host, "/robots.txt", port=PORT, headers={"X-Forwarded-For": "203.0.113.3"}).text == "own"
