"""Application load balancers as AWS documents them: target states, draining, stickiness, HTTPS, refusals."""

from __future__ import annotations

import subprocess
import threading
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.ec2 import code_of, describe, launch, leader, ssh, state, status, subnets
from tests.support.running_lab import RunningLab
from tests.support.waiting import wait_for
from tests.support.web_fleet import DELAY, address, health, load_balancer, target_group, user_data

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def webs(lab: RunningLab, ec2: Any) -> Iterator[tuple[str, str]]:
    """Two instances in two zones that answer on port 80 with their names."""
    a, b = subnets(ec2)["us-east-1a"], subnets(ec2)["us-east-1b"]
    made = tuple(launch(ec2, SubnetId=s, UserData=b64decode(user_data()).decode()) for s in (a, b))
    wait_for("status ok", lambda: all(status(ec2, one) == "ok" for one in made))
    yield made[0], made[1]
    ec2.terminate_instances(InstanceIds=list(made))


@pytest.fixture(scope="module")
def group(lab: RunningLab) -> Iterator[str]:
    made = target_group(lab, "shop")
    yield made
    lab.client("elbv2").delete_target_group(TargetGroupArn=made)


@pytest.fixture(scope="module")
def balancer(lab: RunningLab, group: str, webs: tuple[str, str]) -> Iterator[str]:
    elbv2 = lab.client("elbv2")
    arn = load_balancer(lab, "shop", group)
    elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": i} for i in webs])
    all_healthy(lab, group, *webs)
    wait_for("active load balancer", lambda: address(lab, arn))
    wait_for("answers of both", lambda: answers(lab, arn) and len(names(lab, arn, 4)) == 2)
    yield arn
    elbv2.delete_load_balancer(LoadBalancerArn=arn)


def answers(lab: RunningLab, arn: str) -> bool:
    """Whether the load balancer listens (a listener takes effect a moment after its creation)."""
    try:
        return sum(names(lab, arn, 1).values()) == 1
    except OSError:
        return False


def all_healthy(lab: RunningLab, group: str, *ids: str) -> None:
    wait_for("healthy targets", lambda: all(health(lab, group).get(i) == ("healthy", "") for i in ids))


def names(lab: RunningLab, arn: str, count: int, path: str = "/") -> Counter[str]:
    where = address(lab, arn)
    assert where
    return Counter(lab.http(where, path)[2] for _ in range(count))


def host(ec2: Any, instance_id: str) -> str:
    return str(describe(ec2, instance_id)["PrivateDnsName"])


def test_targets_of_a_group_that_nothing_forwards_to_are_unused(lab: RunningLab, webs: tuple[str, str]) -> None:
    elbv2 = lab.client("elbv2")
    idle = target_group(lab, "idle")
    elbv2.register_targets(TargetGroupArn=idle, Targets=[{"Id": webs[0]}])
    assert health(lab, idle) == {webs[0]: ("unused", "Target.NotInUse")}
    named = elbv2.describe_target_health(TargetGroupArn=idle, Targets=[{"Id": webs[1]}])["TargetHealthDescriptions"]
    assert named[0]["TargetHealth"]["Reason"] == "Target.NotRegistered"
    elbv2.delete_target_group(TargetGroupArn=idle)


def test_requests_reach_all_healthy_targets(lab: RunningLab, ec2: Any, balancer: str, webs: tuple[str, str]) -> None:
    assert names(lab, balancer, 10) == {host(ec2, webs[0]): 5, host(ec2, webs[1]): 5}


def test_its_dns_name_resolves_inside_the_lab(lab: RunningLab, balancer: str) -> None:
    name = lab.client("elbv2").describe_load_balancers(LoadBalancerArns=[balancer])["LoadBalancers"][0]["DNSName"]
    done = lab.command("run", "getent", "hosts", name)
    assert done.stdout.split()[0] == address(lab, balancer)


def test_a_target_is_initial_until_its_first_check_and_then_healthy(
    lab: RunningLab, ec2: Any, group: str, balancer: str, webs: tuple[str, str]
) -> None:
    elbv2 = lab.client("elbv2")
    made = launch(ec2)
    wait_for("running", lambda: state(ec2, made) == "running")
    elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": made}])
    assert health(lab, group)[made][0] == "initial"
    assert host(ec2, made) not in names(lab, balancer, 6)
    reason = "Target.FailedHealthChecks"
    wait_for("unhealthy", lambda: health(lab, group)[made] == ("unhealthy", reason))
    ec2.terminate_instances(InstanceIds=[made])
    wait_for("draining", lambda: health(lab, group).get(made, ("",))[0] == "draining")
    wait_for("forgotten target", lambda: made not in health(lab, group))


def test_a_sick_target_gets_no_requests_and_says_why(
    lab: RunningLab, ec2: Any, group: str, balancer: str, webs: tuple[str, str]
) -> None:
    ssh(lab, ec2, webs[0], "sudo touch /sick")
    wait_for(
        "unhealthy", lambda: health(lab, group)[webs[0]] == ("unhealthy", "Target.ResponseCodeMismatch"), timeout=40
    )
    wait_for("one server only", lambda: names(lab, balancer, 4) == {host(ec2, webs[1]): 4})
    ssh(lab, ec2, webs[0], "sudo rm /sick")
    all_healthy(lab, group, *webs)
    wait_for("both servers", lambda: len(names(lab, balancer, 4)) == 2)


def test_when_all_are_sick_all_get_requests(
    lab: RunningLab, ec2: Any, group: str, balancer: str, webs: tuple[str, str]
) -> None:
    for one in webs:
        ssh(lab, ec2, one, "sudo touch /sick")
    wait_for("unhealthy", lambda: {s for s, _ in health(lab, group).values()} == {"unhealthy"})
    wait_for("fail open", lambda: len(names(lab, balancer, 6)) == 2)
    for one in webs:
        ssh(lab, ec2, one, "sudo rm /sick")
    all_healthy(lab, group, *webs)


def test_a_deregistered_target_drains_finishes_its_requests_and_is_unused(
    lab: RunningLab, ec2: Any, group: str, balancer: str, webs: tuple[str, str]
) -> None:
    elbv2, where = lab.client("elbv2"), address(lab, balancer)
    assert where
    bodies: list[tuple[int, str]] = []
    slow = [threading.Thread(target=lambda: bodies.append(lab.http(where, "/slow")[0::2])) for _ in range(4)]
    for thread in slow:
        thread.start()
    elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": webs[0]}])
    assert health(lab, group)[webs[0]] == ("draining", "Target.DeregistrationInProgress")
    wait_for("one server only", lambda: names(lab, balancer, 4) == {host(ec2, webs[1]): 4})
    for thread in slow:
        thread.join()
    assert [code for code, _ in bodies] == [200] * 4
    wait_for("end of draining", lambda: webs[0] not in health(lab, group), timeout=DELAY + 5)
    elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": webs[0]}])
    all_healthy(lab, group, *webs)


def test_draining_under_load_fails_no_request(
    lab: RunningLab, group: str, balancer: str, webs: tuple[str, str]
) -> None:
    elbv2, where = lab.client("elbv2"), address(lab, balancer)
    script = f"wrk -t2 -c8 -d{DELAY + 6} --timeout 5 http://{where}/"
    with subprocess.Popen(
        ["nsenter", f"--net={lab.settings.netns_path}", "sh", "-c", script], stdout=subprocess.PIPE, text=True
    ) as load:
        elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": webs[0]}])
        wait_for("end of draining", lambda: webs[0] not in health(lab, group), timeout=DELAY + 10)
        elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": webs[0]}])
        report = load.communicate(timeout=60)[0]
    assert "requests in" in report
    assert "Socket errors" not in report, report
    assert "Non-2xx" not in report, report
    all_healthy(lab, group, *webs)


def test_a_dead_machine_turns_its_target_unhealthy(lab: RunningLab, ec2: Any, group: str, balancer: str) -> None:
    elbv2 = lab.client("elbv2")
    made = launch(ec2, UserData=b64decode(user_data()).decode())
    wait_for("status ok", lambda: status(ec2, made) == "ok")
    elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": made}])
    all_healthy(lab, group, made)
    subprocess.run(["kill", "-KILL", str(leader(lab, made))], check=True)
    wait_for("unhealthy", lambda: health(lab, group)[made][0] == "unhealthy")
    assert health(lab, group)[made][1] in ("Target.Timeout", "Target.FailedHealthChecks")
    ec2.terminate_instances(InstanceIds=[made])


def test_a_stopped_instance_is_an_unused_target(lab: RunningLab, ec2: Any, group: str, balancer: str) -> None:
    elbv2 = lab.client("elbv2")
    made = launch(ec2)
    wait_for("running", lambda: state(ec2, made) == "running")
    elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": made}])
    ec2.stop_instances(InstanceIds=[made])
    wait_for("stopped", lambda: state(ec2, made) == "stopped")
    assert health(lab, group)[made] == ("unused", "Target.InvalidState")
    assert code_of(
        elbv2.register_targets, TargetGroupArn=group, Targets=[{"Id": "i-00000000"}]
    ) == "InvalidTarget"  # fmt: skip
    ec2.terminate_instances(InstanceIds=[made])


def test_https_needs_a_certificate_that_the_lab_has(lab: RunningLab, group: str, balancer: str) -> None:
    arn = "arn:aws:acm:us-east-1:000000000000:certificate/00000000-0000-0000-0000-000000000000"
    for certificates in ([], [{"CertificateArn": arn}]):
        assert code_of(
            lab.client("elbv2").create_listener,
            LoadBalancerArn=balancer,
            Protocol="HTTPS",
            Port=443,
            Certificates=certificates,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        ) == "CertificateNotFound"  # fmt: skip


def test_rules_forward_by_path_and_weight_and_are_removed(lab: RunningLab, balancer: str, group: str) -> None:
    elbv2, where = lab.client("elbv2"), address(lab, balancer)
    assert where
    listener = elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]["ListenerArn"]
    fixed = {"StatusCode": "404", "ContentType": "application/json", "MessageBody": '{"error": "no such page"}'}
    rule = elbv2.create_rule(
        ListenerArn=listener,
        Priority=10,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/old/*"]}}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": fixed}],
    )["Rules"][0]["RuleArn"]
    wait_for("rule", lambda: lab.http(where, "/old/page")[0] == 404)
    assert lab.http(where, "/old/page")[2] == '{"error": "no such page"}'
    elbv2.delete_rule(RuleArn=rule)
    wait_for("end of the rule", lambda: lab.http(where, "/old/page")[0] == 200)


def test_what_haproxy_does_not_do_here_is_refused(lab: RunningLab, ec2: Any, group: str, balancer: str) -> None:
    elbv2 = lab.client("elbv2")
    public = list(subnets(ec2, "public").values())
    refused = "OperationNotPermitted"
    assert code_of(elbv2.create_load_balancer, Name="nlb", Type="network", Subnets=public) == refused
    assert code_of(elbv2.create_load_balancer, Name="one", Subnets=public[:1]) == "ValidationError"
    for name, value in (("slow_start.duration_seconds", "30"), ("stickiness.type", "app_cookie")):
        attribute = [{"Key": name, "Value": value}]
        assert code_of(elbv2.modify_target_group_attributes, TargetGroupArn=group, Attributes=attribute) == refused
    logs = [{"Key": "access_logs.s3.enabled", "Value": "true"}]
    assert code_of(elbv2.modify_load_balancer_attributes, LoadBalancerArn=balancer, Attributes=logs) == refused
    listener = elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]["ListenerArn"]
    query = [{"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a", "Value": "b"}]}}]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    assert code_of(elbv2.create_rule, ListenerArn=listener, Priority=9, Conditions=query, Actions=forward) == refused


def test_a_name_is_taken_once_and_a_used_group_is_kept(lab: RunningLab, ec2: Any, group: str, balancer: str) -> None:
    elbv2 = lab.client("elbv2")
    public = list(subnets(ec2, "public").values())
    again = elbv2.create_load_balancer(Name="shop", Subnets=public)["LoadBalancers"][0]
    assert again["LoadBalancerArn"] == balancer
    assert code_of(elbv2.create_load_balancer, Name="shop", Subnets=public[:2]) == "DuplicateLoadBalancerName"
    assert code_of(elbv2.delete_target_group, TargetGroupArn=group) == "ResourceInUse"
    assert elbv2.describe_target_groups(Names=["shop"])["TargetGroups"][0]["LoadBalancerArns"] == [balancer]


def test_nothing_is_left_of_a_deleted_load_balancer(lab: RunningLab, group: str) -> None:
    elbv2 = lab.client("elbv2")
    other = target_group(lab, "other")
    arn = load_balancer(lab, "gone", other)
    wait_for("active", lambda: address(lab, arn))
    directory = lab.settings.balancers_dir / arn.rsplit("/", 1)[-1]
    assert directory.exists()
    elbv2.delete_load_balancer(LoadBalancerArn=arn)
    wait_for("removal", lambda: not directory.exists())
    assert "gone-" not in lab.settings.hosts_file.read_text()
    elbv2.delete_target_group(TargetGroupArn=other)
