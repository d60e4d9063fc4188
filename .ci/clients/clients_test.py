"""Clients generated from the contract, against the local system: the calls of programs for Session Manager."""

import contextlib
import datetime
import os
import subprocess
import unittest

import guide
import local_broker
import servers
import swagger_client
from local_broker import TOKEN, until
from swagger_client import ApiException, CancelDeletionRequestData, DeleteSessionRequestData, DescribeSessionsRequestData, ErrorResponse, KeyValuePair

# Research and Engineering Studio compares this text.
DOES_NOT_EXIST = "The requested dcvSession does not exist"

HOST = "i-0a1b2c3d4e5f60001"  # of the demo fleet


def setUpModule():
    global broker
    running = contextlib.ExitStack()
    unittest.addModuleCleanup(running.close)
    broker = running.enter_context(local_broker.running())


def api(token=TOKEN, address=None):
    configuration = swagger_client.Configuration(host=address or broker.address, access_token=token)
    return swagger_client.SessionsApi(swagger_client.ApiClient(configuration))


def delete(*entries):
    """Entries are (ID, owner) or (ID, owner, force)."""
    names = ("session_id", "owner", "force")
    return api().delete_sessions(body=[DeleteSessionRequestData(**dict(zip(names, entry))) for entry in entries])


def describe(**request):
    return api().describe_sessions(body=DescribeSessionsRequestData(**request))


def states(*ids):
    return {session.id: session.state for session in describe(session_ids=ids).sessions}


def are_gone(*ids):
    """Whether a polling client sees that they are gone: Session Manager shows a deleted session for some time, then no
    more."""
    return set(states(*ids).values()) <= {"DELETED"}


class PythonClientTest(unittest.TestCase):
    def start(self, *ids, host=HOST, owner="user1"):
        for session_id in ids:
            broker.start_session(host, session_id, owner)

    def test_two_sessions_one_of_which_is_missing(self):
        self.start("two-1")
        answer = delete(("two-1", "user1"), ("two-2", "user1"))
        self.assertEqual([(s.session_id, s.state) for s in answer.successful_list], [("two-1", "DELETING")])
        self.assertEqual([(s.session_id, s.failure_reason) for s in answer.unsuccessful_list], [("two-2", DOES_NOT_EXIST)])
        self.assertIsNone(answer.dry_run)
        until("two-1 is gone", lambda: are_gone("two-1"))
        self.assertEqual(broker.host_of("two-1"), (None, None))

    def test_what_is_deleted_already_counts_as_deleted(self):
        # Research and Engineering Studio's rule, which does not set Force.
        self.start("again")
        ended = set()
        for _ in range(2):
            answer = delete(("again", "user1", None), ("never-was", "user1", None))
            ended |= {s.session_id for s in answer.unsuccessful_list if s.failure_reason == DOES_NOT_EXIST}
            until("again is gone", lambda: are_gone("again"))
        self.assertEqual(ended, {"again", "never-was"})

    def test_somebody_elses_session_stays(self):
        self.start("others")
        answer = delete(("others", "user99"))
        self.assertEqual([s.failure_reason for s in answer.unsuccessful_list], [DOES_NOT_EXIST])
        self.assertEqual(states("others"), {"others": "READY"})

    def test_clients_that_force_every_delete(self):
        # As DCV Access Console and Research and Engineering Studio do.
        lost = "i-0c0000000000000f1"
        self.start("forced-1")
        self.start("forced-2", host=lost)
        broker.control("POST", f"hosts/{lost}/disconnect")
        answer = delete(("forced-1", "user1", True), ("forced-2", "user1", True))
        self.assertEqual([s.state for s in answer.successful_list], ["DELETING", "DELETING"])
        until("both are gone", lambda: are_gone("forced-1", "forced-2"))

    def test_host_that_cannot_be_reached(self):
        lost = "i-0c0000000000000f2"
        self.start("unreachable", host=lost)
        broker.control("POST", f"hosts/{lost}/disconnect")
        (entry,) = delete(("unreachable", "user1")).unsuccessful_list
        self.assertIn("Force", entry.failure_reason)
        self.assertEqual(states("unreachable"), {"unreachable": "READY"})

    def test_what_is_told_of_a_session(self):
        self.start("told")
        (session,) = describe(session_ids=["told", "unknown", "told"]).sessions
        self.assertEqual((session.id, session.owner, session.type, session.state), ("told", "user1", "VIRTUAL", "READY"))
        self.assertEqual(session.server.id, HOST)
        self.assertEqual(session.server.host.aws.ec2_instance_id, HOST)
        self.assertEqual(session.num_of_connections, 0)
        self.assertIsNotNone(session.creation_time.tzinfo)
        self.assertIsNone(session.last_disconnection_time)

    def test_details_are_for_those_who_ask(self):
        host = "i-0000000000000d001"
        self.start("detailed", host=host)
        self.start("of-another-host")
        (entry,) = delete(("detailed", "user1")).successful_list
        until("it is DELETED", lambda: are_gone("detailed"))
        self.start("detailed-2", host=host)
        (session,) = describe(session_ids=["detailed"], details=True).sessions
        self.assertIsNotNone(session.deletion_request_id)
        self.assertGreaterEqual(session.attempts, 1)  # on a very slow machine another
        self.assertIn(session.confirmation, ("closed", "absent"))
        self.assertIsNotNone(session.deletion_requested_at.tzinfo)
        (session,) = describe(session_ids=["detailed"]).sessions
        self.assertIsNone(session.deletion_request_id)
        living = describe(filters=[KeyValuePair(key="host", value=host)]).sessions
        self.assertEqual([session.id for session in living], ["detailed-2"])

    def test_without_a_body_all_are_described(self):
        self.start("all")
        self.assertIn("all", [session.id for session in api().describe_sessions().sessions])

    def test_pages_while_others_are_deleted(self):
        kept = {f"keep-{n:04}" for n in range(2500)}
        doomed = [f"doomed-{n:03}" for n in range(300)]
        for n, session_id in enumerate(sorted(kept) + doomed):
            self.start(session_id, host=f"i-0000000000000{n % 25:04}", owner="pages")

        deleted = []
        for what, filters in (
            ("all", None),
            ("an owner's", [KeyValuePair(key="owner", value="pages")]),
            ("the fleet's", [KeyValuePair(key="tag:DcvFleet", value="default"), KeyValuePair(key="owner", value="pages")]),
        ):
            with self.subTest(what):
                seen, token, before = [], None, len(deleted)
                while token or not seen:
                    page = describe(filters=filters, max_results=137, next_token=token)
                    self.assertLessEqual(len(page.sessions), 137)
                    seen += [session.id for session in page.sessions]
                    token = page.next_token
                    batch, doomed = doomed[:5], doomed[5:]
                    deleted += [s.session_id for s in delete(*((d, "pages") for d in batch)).successful_list]
                self.assertEqual(len(seen), len(set(seen)), "a session is on two pages")
                self.assertEqual(kept - set(seen), set(), "a session is on no page")
                self.assertGreater(len(deleted) - before, 50)
        until("the doomed are gone", lambda: are_gone(*deleted))

    def test_dry_run(self):
        self.start("dry")
        entries = [DeleteSessionRequestData(session_id=session_id, owner="user1") for session_id in ("dry", "not-there")]
        foreseen = api().delete_sessions(body=entries, dry_run=True)
        self.assertTrue(foreseen.dry_run)
        (hit,) = foreseen.successful_list
        self.assertEqual((hit.session_id, hit.session.host_id, hit.session.state), ("dry", HOST, "READY"))
        self.assertEqual(states("dry"), {"dry": "READY"})
        real = api().delete_sessions(body=entries, dry_run=False)
        self.assertIsNone(real.dry_run)
        self.assertEqual([s.session_id for s in real.successful_list], ["dry"])
        self.assertEqual(real.unsuccessful_list, foreseen.unsuccessful_list)

    def test_grace_period_of_exactly_what_was_seen(self):
        self.start("graceful")
        (seen,) = describe(session_ids=["graceful"]).sessions
        exactly = {"session_id": "graceful", "owner": "user1", "host_id": seen.server.id, "creation_time": seen.creation_time}

        def delete_it(**fields):
            return api().delete_sessions(body=[DeleteSessionRequestData(**exactly | fields)])

        (refused,) = delete_it(host_id="i-00000000000000000").unsuccessful_list
        self.assertIn(HOST, refused.failure_reason)
        (refused,) = delete_it(creation_time=seen.creation_time - datetime.timedelta(seconds=1)).unsuccessful_list
        self.assertIn("created at", refused.failure_reason)
        asked = datetime.datetime.now(datetime.timezone.utc)
        text = {"message": "Bitte speichern: \u00dcbergabe um 20:00 \U0001f4be", "reason": "maintenance"}
        (waiting,) = delete_it(grace_period_seconds=600, **text).successful_list
        answered, second = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(seconds=1)
        period = datetime.timedelta(seconds=600)
        self.assertTrue(asked + period - second < waiting.close_at < answered + period + second, waiting.close_at)
        self.assertEqual(states("graceful"), {"graceful": "READY"})
        (entry,) = delete(("graceful", "user1", None)).successful_list
        self.assertIsNone(entry.close_at)
        until("graceful is gone", lambda: are_gone("graceful"))

    def test_cancel(self):
        self.start("kept")
        entries = [CancelDeletionRequestData(session_id=session_id, owner="user1") for session_id in ("kept", "never-was")]
        foreseen = api().cancel_deletions(body=entries, dry_run=True)
        answer = api().cancel_deletions(body=entries)
        self.assertEqual((foreseen.dry_run, answer.dry_run), (True, None))
        self.assertEqual([(s.session_id, s.state) for s in answer.successful_list], [("kept", "READY")])
        self.assertEqual([(s.session_id, s.failure_reason) for s in answer.unsuccessful_list], [("never-was", DOES_NOT_EXIST)])
        self.assertEqual((foreseen.successful_list, foreseen.unsuccessful_list), (answer.successful_list, answer.unsuccessful_list))

    def test_no_token_no_answer(self):
        self.start("guarded")
        entry = DeleteSessionRequestData(session_id="guarded", owner="user1")
        for token in (None, "", "another", TOKEN + "x"):
            for call in (lambda: api(token).delete_sessions(body=[entry]), lambda: api(token).describe_sessions()):
                with self.assertRaises(ApiException) as refused:
                    call()
                self.assertEqual(refused.exception.status, 401)
                self.assertEqual(ErrorResponse.from_json(refused.exception.body).message, "Unauthorized")
        self.assertEqual(states("guarded"), {"guarded": "READY"})

    def test_faults_can_be_read(self):
        with self.assertRaises(ApiException) as refused:
            describe(next_token="Zm9yZ2Vk")
        self.assertEqual(refused.exception.status, 400)
        (fault,) = ErrorResponse.from_json(refused.exception.body).errors
        self.assertEqual((fault.index, fault.var_field), (None, "NextToken"))


class ForceModeTest(unittest.TestCase):
    def test_who_forces_every_delete_gets_the_desktop_closed(self):
        with local_broker.running(FORCE_MODE="best-effort") as other:
            other.start_session(HOST, "forced", "user1")
            sessions = api(address=other.address)
            answer = sessions.delete_sessions(body=[DeleteSessionRequestData(session_id="forced", owner="user1", force=True)])
            self.assertEqual([s.state for s in answer.successful_list], ["DELETING"])
            query = DescribeSessionsRequestData(session_ids=["forced"])
            until("it is DELETED", lambda: sessions.describe_sessions(body=query).sessions[0].state == "DELETED")
            until("its host has closed it", lambda: other.host_of("forced") == (None, None))


class GuideTest(unittest.TestCase):
    def test_the_developer_guides_program(self):
        program = guide.Program(broker.address, "client", "secret")
        # The sessions of the guide's example, of which the demo fleet has the first.
        answer = program.delete_sessions([("SessionId123", "user1"), ("SessionIdabc", "user99")])
        self.assertEqual([s.to_dict() for s in answer.successful_list], [{"SessionId": "SessionId123", "State": "DELETING"}])
        self.assertEqual(
            [s.to_dict() for s in answer.unsuccessful_list], [{"SessionId": "SessionIdabc", "FailureReason": DOES_NOT_EXIST}]
        )
        mine = program.describe_sessions(owner="user2", tags=[{"Key": "DcvFleet", "Value": "default"}])
        self.assertEqual([session.id for session in mine.sessions], ["design-review"])
        until(
            "SessionId123 is deleted",
            lambda: [s.state for s in program.describe_sessions(session_ids=["SessionId123"]).sessions] == ["DELETED"],
        )


class GoClientTest(unittest.TestCase):
    def test_go_client(self):
        folder = servers.ROOT / "build" / "clients" / "go"
        broker.start_session(HOST, "from-go", "gopher")
        broker.start_session(HOST, "waiting-for-go", "gopher")
        environment = {"BROKER": broker.address, "TOKEN": TOKEN, "HOST_OF_SESSION": HOST}
        run = subprocess.run(
            ["go", "test", "-vet=off", "-count=1", "./..."], cwd=folder, env=os.environ | environment, capture_output=True, text=True
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
