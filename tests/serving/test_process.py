"""The server's process: it outlives its starter, survives kill -9, and ends when it is told to."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import urllib3

from lepton_ai.core.errors import Conflict, Unavailable
from lepton_ai.security.tokens import rotate_token, workspace_token
from lepton_ai.serving.client import Client
from lepton_ai.serving.deployment import deploy_model, deployment
from lepton_ai.serving.process import StartFailed, down, log_path, logs, status, up
from lepton_ai.serving.receipts import receipt
from lepton_ai.serving.supervisor import Running, command, listen, pid_file, replica_files
from tests.serving.conftest import open_workspace, records, stop, tumours

ROWS = records(tumours()[0])


def wait_until(condition, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.02)


def replica_pids(workspace) -> list[int]:
    return [pid for file in replica_files(workspace.home) if (pid := file.read(int))]


def script(workspace, program: str) -> subprocess.Popen[str]:
    """Run a program that finds the workspace open as ``workspace``."""
    head = f"""
        from lepton_ai.core.settings import Settings
        from lepton_ai.serving.deployment import deploy_model, deployment
        from lepton_ai.serving.process import down, status, up
        from lepton_ai.storage import Workspace
        workspace = Workspace.open(
            settings=Settings.load({str(workspace.home)!r}, {{"LEPTON_PORT": "0"}})
        )
    """
    text = textwrap.dedent(head) + textwrap.dedent(program)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def test_the_server_outlives_the_script_that_started_it(serving_workspace):
    program = """
        deployed = deploy_model("tumour", workspace=workspace)
        print(status(workspace).pid)
    """
    pid = int(finish(script(serving_workspace, program)))
    running = pid_file(serving_workspace.home).read(Running)
    assert running is not None
    assert running.pid == pid
    # It is in a session of its own and no child of ours.
    assert os.getsid(pid) not in (os.getsid(0), 0)
    assert deployment("tumour", workspace=serving_workspace).predict(ROWS[0]).version == 3
    assert down(serving_workspace)
    assert not down(serving_workspace)
    assert status(serving_workspace).url is None
    assert replica_pids(serving_workspace) == []
    # The init process buries it when it gets round to it.
    wait_until(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    )


@pytest.mark.parametrize("also_replicas", [False, True])
def test_after_kill_9_the_next_start_serves_the_same(serving_workspace, also_replicas):
    deploy_model("tumour:2", workspace=serving_workspace)
    deploy_model("rows", "others", workspace=serving_workspace)
    before = status(serving_workspace)
    answered = [
        deployment("tumour", workspace=serving_workspace).predict(ROWS[index]).id
        for index in range(5)
    ]
    victims = replica_pids(serving_workspace)
    os.kill(before.pid, signal.SIGKILL)
    if also_replicas:
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not pid_file(serving_workspace.home).held())
    # What was answered is known though nobody had the time to put it away.
    found = [receipt(serving_workspace, name) for name in answered]
    after = up(serving_workspace)
    assert after.pid != before.pid
    assert [(e.name, e.model, e.state) for e in after.endpoints] == [
        ("others", "rows:1", "live"),
        ("tumour", "tumour:2", "live"),
    ]
    assert deployment("tumour", workspace=serving_workspace).predict(ROWS[0]).version == 2
    assert not set(victims) & set(replica_pids(serving_workspace))
    assert len(after.replicas) == 1
    # The table, once the archiver has moved them, says the same.
    journal = serving_workspace.home / "serving" / "journal"
    wait_until(lambda: not list(journal.iterdir()))
    assert [receipt(serving_workspace, name) for name in answered] == found


def test_a_replica_that_is_killed_is_replaced_and_nobody_is_refused(serving_workspace):
    deployed = deploy_model("tumour", workspace=serving_workspace)
    (victim,) = replica_pids(serving_workspace)
    os.kill(victim, signal.SIGKILL)
    # The supervisor holds the socket: the request waits for the next replica.
    assert deployed.predict(ROWS[0]).version == 3
    wait_until(lambda: replica_pids(serving_workspace))
    assert replica_pids(serving_workspace) != [victim]
    assert (
        f"replica 0 ended with status {-signal.SIGKILL}" in log_path(serving_workspace).read_text()
    )


def test_starts_at_once_make_one_server(serving_workspace):
    scripts = [script(serving_workspace, "print(up(workspace).pid)") for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        here = [threads.submit(up, serving_workspace) for _ in range(3)]
        pids = {start.result().pid for start in here} | {int(finish(each)) for each in scripts}
    assert len(pids) == 1
    assert log_path(serving_workspace).read_text().count("serving at") == 1


def test_a_start_gives_way_to_one_whose_starter_was_killed(serving_workspace, monkeypatch):
    (serving_workspace.home / "serving").mkdir()
    monkeypatch.setenv("LEPTON_PORT", "0")
    # What is left of `up` when it is killed as soon as it has started the supervisor.
    orphan = subprocess.Popen(
        command("lepton_ai.serving.supervisor", str(serving_workspace.home)),
        stderr=subprocess.DEVNULL,
    )
    assert not pid_file(serving_workspace.home).held()
    server = up(serving_workspace)
    assert orphan.wait(timeout=10) == 0
    assert server.running
    assert len(replica_pids(serving_workspace)) == 1


def test_two_replicas_share_the_port_and_the_load(serving_workspace):
    workspace = open_workspace(serving_workspace.home, LEPTON_REPLICAS="2")
    url = deploy_model("tumour", workspace=workspace).url.partition("/models")[0]
    server = status(workspace)
    assert [set(replica.loaded.serving) for replica in server.replicas] == [{"tumour"}] * 2
    assert len(replica_pids(workspace)) == 2
    answered: set[str] = set()
    for _ in range(40):
        # Every client has its own connection, which the kernel gives to either replica.
        client = Client(url, workspace_token(workspace))
        answered.add(receipt(workspace, client.predict("tumour", ROWS[0]).id).replica)
        client.close()
        if len(answered) == 2:
            break
    assert answered == {replica.id for replica in server.replicas}
    # A new version is deployed when both have it.
    deploy_model("tumour:1", "tumour", workspace=workspace)
    for _ in range(20):
        client = Client(url, workspace_token(workspace))
        assert client.predict("tumour", ROWS[0]).version == 1
        client.close()
    victim = server.replicas[0].pid
    os.kill(victim, signal.SIGKILL)
    for _ in range(20):
        client = Client(url, workspace_token(workspace))
        assert client.predict("tumour", ROWS[0]).version == 1
        client.close()
    wait_until(lambda: {r.pid for r in status(workspace).replicas} == set(replica_pids(workspace)))
    workspace.close()


def test_down_answers_what_has_begun(serving_workspace):
    port = int(deploy_model("tumour", workspace=serving_workspace).url.split("/")[2].split(":")[1])
    token = workspace_token(serving_workspace).encode()
    body = json.dumps(ROWS[0]).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(
            b"POST /models/tumour/predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (token, len(body), body[:100])
        )
        time.sleep(0.2)
        stopping = threading.Thread(target=down, args=(serving_workspace,))
        stopping.start()
        time.sleep(0.5)
        connection.sendall(body[100:])
        with connection.makefile("rb") as file:
            answer = file.read()
        stopping.join()
    assert answer.startswith(b"HTTP/1.1 200 ")
    prediction_id = json.loads(answer.rpartition(b"\r\n\r\n")[2])["id"]
    assert receipt(serving_workspace, prediction_id).principal == "owner"
    assert list((serving_workspace.home / "serving" / "journal").iterdir()) == []


def test_a_rotated_token_opens_and_the_old_one_does_not(serving_workspace):
    url = deploy_model("tumour", workspace=serving_workspace).url
    old = workspace_token(serving_workspace)
    new = rotate_token(serving_workspace)

    def answer(token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        body = json.dumps(ROWS[0])
        return urllib3.request("POST", url, headers=headers, body=body, retries=False).status

    wait_until(lambda: answer(new) == 200, 5)
    assert answer(old) == 401
    # A new master key is none of the clients' business, and of the replicas' only when they load.
    serving_workspace.keys.rotate()
    assert answer(new) == 200
    deploy_model("tumour:1", workspace=serving_workspace)
    assert answer(new) == 200


def test_a_start_that_fails_shows_why(serving_workspace):
    # An address of the documentation range: no machine has it.
    workspace = open_workspace(serving_workspace.home, LEPTON_HOST="203.0.113.7")
    with pytest.raises(StartFailed, match=r"(?s)did not start.*203\.0\.113\.7"):
        up(workspace)
    workspace.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        workspace = open_workspace(serving_workspace.home, LEPTON_PORT=str(port))
        with pytest.raises(StartFailed, match=rf"(?s)port {port}.*LEPTON_PORT"):
            up(workspace)
    # The next start, with a port that is free by now, has nothing to clear away.
    assert up(workspace).url == f"http://127.0.0.1:{port}"
    workspace.close()


def test_the_default_port_gives_way_when_it_is_taken():
    blocker = socket.socket()
    blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        blocker.bind(("127.0.0.1", 8421))
        blocker.listen()
    except OSError:
        pass  # somebody else has it, which is as well
    first = listen("127.0.0.1", 8421, 2)
    port = first[0].getsockname()[1]
    assert port != 8421
    assert first[1].getsockname()[1] == port
    # A port that several sockets of a server share is taken for everybody else.
    with pytest.raises(Conflict):
        listen("127.0.0.1", port, 2)
    for each in (blocker, *first):
        each.close()


def test_a_stale_pid_file_names_nobody(serving_workspace):
    directory = serving_workspace.home / "serving"
    directory.mkdir()
    stale = {
        "pid": os.getpid(),
        "host": "127.0.0.1",
        "port": 9,
        "generation": 1,
        "replicas": 1,
        "ready": True,
    }
    (directory / "server.pid").write_text(json.dumps(stale))
    assert not status(serving_workspace).running
    assert not down(serving_workspace)
    assert up(serving_workspace).pid != os.getpid()


def test_the_log_is_private_and_can_be_followed(serving_workspace):
    assert list(logs(serving_workspace)) == []
    up(serving_workspace)
    path = log_path(serving_workspace)
    assert path.stat().st_mode & 0o077 == 0
    assert any("serving at" in line for line in logs(serving_workspace))
    assert len(list(logs(serving_workspace, lines=1))) == 1
    following = logs(serving_workspace, lines=1, follow=True)
    last = next(following)
    with path.open("a") as file:
        file.write("a new line\n")
    new = next(following)
    assert [last, new] == list(logs(serving_workspace, lines=2))


def test_without_a_server_the_client_says_what_to_do(serving_workspace):
    deployed = deploy_model("tumour", workspace=serving_workspace)
    stop(serving_workspace)
    with pytest.raises(Unavailable, match="lepton up"):
        deployed.predict(ROWS[0])
    workspace = open_workspace(serving_workspace.home)
    with pytest.raises(Conflict, match="lepton up"):
        deployment("tumour", workspace=workspace)
    assert [endpoint.state for endpoint in status(workspace).endpoints] == ["not served"]
    workspace.close()
