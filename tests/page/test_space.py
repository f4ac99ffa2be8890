"""What people see and do in a space, as far as signalling goes. Against the scripted double: no media."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import OpenPage
from tests.page.double import Double, person, token
from tests.page.evening import SPACE, as_host, as_listener, as_speaker, connected, evening, go_on_stage
from tests.page.views import LINKS

pytestmark = pytest.mark.live


def main_button(page: Page) -> str:
    return page.locator('[data-control="main"] .bar-label').inner_text()


class TestListening:
    def test_a_listener_asks_for_four_voices_and_never_for_the_microphone(
        self, double: Double, open_page: OpenPage
    ) -> None:
        evening(double)
        page = open_page()
        page.add_init_script("navigator.mediaDevices.getUserMedia = () => { throw new Error('asked') }")
        page.goto(f"{double.url}/?again#space={SPACE}&token={token('leo-blanc', SPACE)}")
        offer = double.wait_for("POST", "^/whep/night-trains$")
        connected(page)
        assert offer.body.count("a=recvonly") == 4
        assert "a=sendrecv" not in offer.body
        expect(page.locator("dialog")).to_have_count(0)

    def test_where_the_audience_is_sent_the_mix_one_section_is_enough(
        self, double: Double, open_page: OpenPage
    ) -> None:
        evening(double).more = {"audience": "mix"}
        as_listener(open_page)
        assert double.wait_for("POST", "^/whep/night-trains$").body.count("a=recvonly") == 1

    def test_the_stage_shows_who_speaks_and_who_is_muted(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        expect(page.locator(".tile-name")).to_have_text(["Ada Moretti", "Tomas Lind", "Ines Carvalho", "Jonas Weber"])
        double.publish("speakers.changed", {"speakers": [{"identity": "ines-carvalho", "level_dbov": -20}]})
        expect(page.locator(".tile.speaking .tile-name")).to_have_text(["Ines Carvalho"])
        expect(page.locator(".tile.muted .tile-name")).to_have_text(["Jonas Weber"])
        double.publish("speakers.changed", {"speakers": []})
        expect(page.locator(".tile.speaking")).to_have_count(0)

    def test_a_voice_moves_nothing_on_the_page(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        before = page.locator(".tile").nth(2).bounding_box()
        double.publish("speakers.changed", {"speakers": [{"identity": "ines-carvalho", "level_dbov": -1}]})
        expect(page.locator(".tile.speaking")).to_have_count(1)
        assert page.locator(".tile").nth(2).bounding_box() == before

    def test_people_are_told_that_they_are_recorded_and_when_no_more(self, double: Double, open_page: OpenPage) -> None:
        scene = evening(double)
        page = as_listener(open_page)
        expect(page.locator(".recorded")).to_be_hidden()
        double.publish("space.changed", {**scene.resource(), "is_recorded": True})
        expect(page.locator(".recorded")).to_have_text("Recorded")
        expect(page.locator(".notices")).to_contain_text("This space is being recorded.")
        double.publish("space.changed", {**scene.resource(), "is_recorded": False})
        expect(page.locator(".recorded")).to_be_hidden()
        expect(page.locator(".notices")).to_contain_text("The recording has stopped.")

    def test_counts_and_titles_follow_the_events(self, double: Double, open_page: OpenPage) -> None:
        scene = evening(double)
        page = as_listener(open_page)
        double.publish("counts", {"speakers": 4, "listeners": 1204})
        expect(page.locator(".house-count")).to_have_text("1,204 listening")
        double.publish("space.changed", {**scene.resource(), "title": "Sleeper cars"})
        expect(page.get_by_role("heading", level=1)).to_have_text("Sleeper cars")

    def test_a_raised_hand_can_be_lowered(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        page.get_by_role("button", name="Ask to speak").click()
        double.wait_for("POST", "/hand$")
        double.publish("participant.changed", person("leo-blanc", "listener", has_raised_hand=True))
        page.get_by_role("button", name="Lower hand").click()
        double.wait_for("DELETE", "/hand$")

    def test_reactions_float_once_ours_at_once(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        page.get_by_role("button", name="React").click()
        page.get_by_role("button", name="Applause").click()
        assert json.loads(double.wait_for("POST", "/reactions$").body) == {"emoji": "👏"}
        expect(page.locator('.floating[data-reaction="clap"]')).to_have_count(1)

    def test_without_websocket_events_come_by_server_sent_events(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        double.has_websocket = False
        page = as_listener(open_page)
        double.publish("counts", {"speakers": 4, "listeners": 77})
        expect(page.locator(".house-count")).to_have_text("77 listening")

    def test_a_lost_event_stream_comes_back_with_a_new_snapshot(self, double: Double, open_page: OpenPage) -> None:
        scene = evening(double)
        page = as_listener(open_page)
        scene.add(person("mei-tanaka"))
        double.hang_up()
        expect(page.locator(".tile")).to_have_count(5)

    def test_an_interrupted_session_is_repaired_by_an_ice_restart(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        double.wait_for("POST", "^/whep/")
        connected(page)
        page.evaluate("peerDouble.set('disconnected')")
        double.wait_for("PATCH", "^/whep/night-trains/1$")
        connected(page)

    def test_a_session_that_the_server_forgot_is_begun_anew(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        connected(page)
        double.calls.clear()
        double.refuse("PATCH", "^/whep/", status=404, code="unknown_session")
        page.evaluate("peerDouble.set('failed')")
        double.wait_for("POST", "^/whep/")
        connected(page)

    def test_a_new_stream_of_events_names_the_last_one_that_was_seen(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        double.publish("counts", {"speakers": 4, "listeners": 5})
        expect(page.locator(".house-count")).to_have_text("5 listening")
        double.hang_up()
        assert double.wait_for("WS", r"/ws\?after=evening-\d+$").identity == "leo-blanc"

    def test_captions_stand_over_the_footlights_and_can_be_switched_off(
        self, double: Double, open_page: OpenPage
    ) -> None:
        evening(double)
        page = as_listener(open_page)
        said = {"identity": "ines-carvalho", "language": "en"}
        double.publish("caption", {**said, "text": "Good eve", "is_final": False})
        expect(page.get_by_role("log", name="Captions")).to_have_text("Ines CarvalhoGood eve")
        double.publish("caption", {**said, "text": "Good evening.", "is_final": True})
        expect(page.get_by_role("log", name="Captions")).to_have_text("Ines CarvalhoGood evening.")
        page.get_by_role("button", name="Captions", pressed=True).click()
        expect(page.locator(".surtitles")).to_be_hidden()
        double.publish("caption", {**said, "text": "And good night.", "is_final": True})
        page.get_by_role("button", name="Captions", pressed=False).click()
        expect(page.get_by_role("log", name="Captions")).to_contain_text("And good night.")

    def test_pinned_links_open_elsewhere_and_tell_nothing(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        double.publish("links.changed", {"links": LINKS})
        link = page.get_by_role("link", name="The night timetable")
        expect(link).to_have_attribute("href", "https://timetable.example/night")
        expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
        expect(link).to_have_attribute("target", "_blank")

    def test_a_link_that_is_no_web_address_leads_nowhere(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        double.publish("links.changed", {"links": [{**LINKS[0], "url": "javascript:alert(1)"}]})
        expect(page.locator(".links-first")).to_have_text("The night timetable")
        assert page.locator(".links-first").get_attribute("href") is None

    def test_a_declined_hand_is_told_kindly(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        double.publish("you.hand_declined", {})
        expect(page.locator(".notices")).to_contain_text("Not this time")

    def test_an_open_stage_is_one_click_away(self, double: Double, open_page: OpenPage) -> None:
        evening(double).more = {"speak": "everyone"}
        page = as_listener(open_page)
        page.get_by_role("button", name="Go on stage").click()
        go_on_stage(page, wait=None)
        double.wait_for("POST", "^/v1/spaces/night-trains/stage$")
        double.wait_for("POST", "/sessions$")

    def test_the_host_dropping_out_is_told_with_the_time_that_is_left(
        self, double: Double, open_page: OpenPage
    ) -> None:
        evening(double)
        page = as_listener(open_page, timezone_id="UTC")
        double.publish("space.host_gone", {"ends_at": "2026-11-01T19:05:00Z"})
        expect(page.locator(".notices")).to_contain_text("Without them the space ends at 19:05")
        double.publish("space.host_back", {})
        expect(page.locator(".notices")).to_contain_text("The host is back")

    def test_a_server_that_goes_is_left_only_when_another_session_stands(
        self, double: Double, open_page: OpenPage
    ) -> None:
        evening(double)
        page = as_listener(open_page)
        connected(page)
        double.calls.clear()
        double.publish("server.draining", {"ends_at": "2026-11-01T19:05:00Z", "reconnect_after_s": 0})
        expect(page.locator(".notices")).to_contain_text("You will be reconnected")
        double.wait_for("DELETE", "^/whep/")
        methods = [call.method for call in double.calls if call.path.startswith("/whep/")]
        assert methods == ["POST", "DELETE"]
        connected(page)

    def test_leaving_ends_the_session(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        connected(page)
        page.get_by_role("button", name="Leave").click()
        double.wait_for("DELETE", "^/whep/night-trains/1$")


class TestSpeaking:
    def test_the_microphone_opens_only_after_the_green_room(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_speaker(open_page)
        assert not any(call.path.endswith("/sessions") for call in double.calls)
        go_on_stage(page)
        assert page.evaluate("peerDouble.sent().enabled") is True

    def test_nobody_is_asked_twice_who_becomes_a_speaker_by_stepping_up(
        self, double: Double, open_page: OpenPage
    ) -> None:
        """A token that may publish makes a speaker only with its session: the server says so while that opens."""
        del evening(double).people["ines-carvalho"]
        page = as_speaker(open_page)
        connected(page)  # what is heard in the green room must not be kept waiting, too
        page.get_by_role("button", name="Turn on microphone").click()
        page.evaluate("peerDouble.path = 'waiting'")
        page.locator("dialog").get_by_role("button", name="Go on stage").click()
        double.wait_for("POST", "/sessions$")
        double.publish("participant.joined", person("ines-carvalho"))
        expect(page.locator(".tile-name", has_text="Ines Carvalho (you)")).to_be_visible()
        page.evaluate("peerDouble.set('connected')")
        expect(page.locator('[data-control="main"][data-state="open"]')).to_be_visible()
        expect(page.locator("dialog")).to_have_count(0)

    def test_one_may_start_muted(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_speaker(open_page)
        page.get_by_role("button", name="Turn on microphone").click()
        page.get_by_label("Start with the microphone on").uncheck()
        page.locator("dialog").get_by_role("button", name="Go on stage").click()
        expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        assert page.evaluate("peerDouble.sent().enabled") is False

    def test_m_mutes_and_space_talks_while_it_is_held(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        page.locator("h1").focus()
        page.keyboard.press("m")
        expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        page.keyboard.down("Space")
        expect(page.locator('[data-state="open"]')).to_be_visible()
        page.keyboard.up("Space")
        expect(page.locator('[data-state="closed"]')).to_be_visible()

    def test_shortcuts_can_be_switched_off(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        page.get_by_role("button", name="Settings").click()
        page.get_by_label("Keyboard shortcuts").uncheck()
        page.keyboard.press("Escape")
        page.locator("h1").focus()
        page.keyboard.press("m")
        expect(page.locator('[data-state="open"]')).to_be_visible()

    def test_the_hosts_mute_cannot_be_lifted_here(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_speaker(open_page)
        go_on_stage(page)
        double.publish("you.changed", {"identity": "ines-carvalho", "role": "speaker", "is_muted": True})
        locked = page.locator('[data-control="main"][data-state="locked"]')
        expect(locked).to_be_visible()
        assert page.evaluate("peerDouble.sent().enabled") is False
        locked.click()
        expect(page.locator(".notices")).to_contain_text("Only a host can let you speak again")
        assert page.evaluate("peerDouble.sent().enabled") is False

    def test_the_others_are_told_of_ones_own_mute(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        double.wait_for("DELETE", "/self-mute$")
        page.get_by_role("button", name="Mute", exact=True).click()
        double.wait_for("POST", "/self-mute$")

    def test_a_gate_that_does_not_open_leaves_the_microphone_off(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        page.get_by_role("button", name="Mute", exact=True).click()
        double.wait_for("POST", "/self-mute$")
        double.refuse("DELETE", "/self-mute$", status=409, code="muted_by_host")
        page.get_by_role("button", name="Unmute").click()
        expect(page.locator(".notices")).to_contain_text("Only a host can let you speak again")
        expect(page.locator('[data-control="main"][data-state="closed"]')).to_be_visible()

    def test_whoever_mutes_himself_elsewhere_is_muted_here(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        double.wait_for("DELETE", "/self-mute$")
        page.evaluate("new Promise(requestAnimationFrame)")  # the answer has come, too
        told = {"identity": "ada-moretti", "role": "host", "is_muted": False, "is_self_muted": True}
        double.publish("you.changed", told)
        expect(page.locator('[data-control="main"][data-state="closed"]')).to_be_visible()
        assert page.evaluate("peerDouble.sent().enabled") is False

    def test_an_invitation_can_be_declined(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        double.publish("you.invited", {"role": "speaker"})
        page.get_by_role("button", name="No, thank you").click()
        double.wait_for("POST", "/participants/leo-blanc/decline$")

    def test_accepting_an_invitation_leads_on_stage(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        double.publish("you.invited", {"role": "speaker"})
        go_on_stage(page, wait=None)
        double.wait_for("POST", "/participants/leo-blanc/accept$")
        double.wait_for("POST", "/sessions$")

    def test_a_speaker_steps_down_by_himself(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_speaker(open_page)
        go_on_stage(page)
        page.locator(".tile-button", has_text="Ines Carvalho").click()
        page.get_by_role("button", name="Step down to the audience").click()
        double.wait_for("DELETE", "^/v1/spaces/night-trains/stage$")

    def test_a_stage_that_was_lost_with_the_connection_leaves_the_audience(
        self, double: Double, open_page: OpenPage
    ) -> None:
        evening(double)
        page = as_speaker(open_page)
        go_on_stage(page)
        double.calls.clear()
        double.refuse("PATCH", "/sessions/", status=404, code="unknown_session")
        double.refuse("POST", "/sessions$", status=409, code="stage_full")
        page.evaluate("peerDouble.set('failed')")
        double.wait_for("POST", "^/whep/")
        expect(page.locator(".notices")).to_contain_text("The stage is full")

    def test_a_lifted_mute_opens_no_microphone(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_speaker(open_page)
        go_on_stage(page)
        for is_muted in (True, False):
            double.publish("you.changed", {"identity": "ines-carvalho", "role": "speaker", "is_muted": is_muted})
        expect(page.locator('[data-control="main"][data-state="closed"]')).to_be_visible()
        assert page.evaluate("peerDouble.sent().enabled") is False

    def test_promotion_asks_before_the_microphone_opens(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        double.publish("you.changed", {"identity": "leo-blanc", "role": "speaker", "is_muted": False})
        expect(page.get_by_role("heading", name="The stage is yours")).to_be_visible()
        assert not any(call.path.endswith("/sessions") for call in double.calls)
        go_on_stage(page)
        double.wait_for("POST", "/sessions$")
        double.wait_for("DELETE", "^/whep/")

    def test_an_invitation_is_accepted_by_stepping_on_stage(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        double.publish("you.invited", {})
        expect(page.get_by_role("heading", name="You are invited to speak")).to_be_visible()
        page.get_by_role("button", name="Turn on microphone").click()
        page.locator("dialog").get_by_role("button", name="Go on stage").click()
        double.wait_for("POST", "/participants/leo-blanc/accept$")
        double.wait_for("POST", "/sessions$")

    def test_a_full_stage_leaves_one_listening(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        double.refuse("POST", "/sessions$", status=409, code="stage_full")
        double.publish("you.changed", {"identity": "leo-blanc", "role": "speaker", "is_muted": False})
        page.get_by_role("button", name="Turn on microphone").click()
        page.locator("dialog").get_by_role("button", name="Go on stage").click()
        expect(page.locator(".notices")).to_contain_text("The stage is full")
        connected(page, peers=1)

    def test_moved_to_the_audience_the_microphone_is_closed(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_speaker(open_page)
        go_on_stage(page)
        double.publish("you.changed", {"identity": "ines-carvalho", "role": "listener", "is_muted": False})
        expect(page.get_by_role("button", name="Ask to speak")).to_be_visible()
        page.locator("html[data-sends=nothing]").wait_for()


class TestModerating:
    def test_a_raised_hand_is_one_click_from_the_stage(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        page.get_by_role("button", name="People 1 asking to speak").click()
        page.get_by_role("button", name="Bring on stage Giulia Ferri").click()
        double.wait_for("POST", "/participants/giulia-ferri/accept-hand$")

    def test_a_hand_can_be_declined(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        page.get_by_role("button", name="People 1 asking to speak").click()
        page.get_by_role("button", name="Not now: Giulia Ferri").click()
        double.wait_for("POST", "/participants/giulia-ferri/decline-hand$")

    def test_title_speaking_and_entry_can_be_changed(self, double: Double, open_page: OpenPage) -> None:
        scene = evening(double)
        page = as_host(open_page)
        page.get_by_role("button", name="People").click()
        page.get_by_role("button", name="Manage the space").click()
        page.get_by_label("What the space is about").fill("Sleeper cars")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        page.get_by_label("Who may speak").select_option("everyone")
        page.get_by_label("Speakers come in muted").check()
        expect(page.get_by_label("Speakers come in muted")).to_be_checked()
        edits = [json.loads(call.body) for call in double.calls if call.method == "PATCH"]
        assert edits == [{"title": "Sleeper cars"}, {"speak": "everyone"}, {"entry": "muted"}]
        double.publish("space.changed", {**scene.resource(), "speak": "followed"})
        expect(page.get_by_label("Who may speak")).to_have_value("followed")

    def test_who_was_blocked_can_be_unblocked(self, double: Double, open_page: OpenPage) -> None:
        evening(double).blocks = [{"identity": "karl-vogt", "at": "2026-11-01T18:20:00Z"}]
        page = as_host(open_page)
        page.get_by_role("button", name="People").click()
        page.get_by_role("button", name="Manage the space").click()
        page.get_by_role("button", name="Unblock karl-vogt").click()
        double.wait_for("POST", "/participants/karl-vogt/unblock$")

    def test_links_are_pinned_ordered_and_unpinned(self, double: Double, open_page: OpenPage) -> None:
        evening(double).links = LINKS
        page = as_host(open_page)
        page.get_by_role("button", name="2 links").click()
        page.get_by_label("Address").fill("https://map.example/")
        page.get_by_label("What it is (optional)").fill("The map")
        page.get_by_role("button", name="Pin a link").last.click()
        wish = json.loads(double.wait_for("POST", "/links$").body)
        assert wish == {"url": "https://map.example/", "title": "The map"}
        page.get_by_role("button", name="Move up: beds.example/map").click()
        assert json.loads(double.wait_for("PATCH", "/links$").body) == {"order": ["two", "one"]}
        page.get_by_role("button", name="Unpin: The night timetable").click()
        double.wait_for("DELETE", "/links/one$")

    def test_a_speaker_unpins_only_what_he_pinned(self, double: Double, open_page: OpenPage) -> None:
        evening(double).links = LINKS
        page = as_speaker(open_page)
        go_on_stage(page)
        page.get_by_role("button", name="2 links").click()
        expect(page.get_by_role("button", name="Unpin: beds.example/map")).to_be_visible()
        expect(page.get_by_role("button", name="Unpin: The night timetable")).to_be_hidden()
        expect(page.get_by_role("button", name="Move up")).to_have_count(0)

    def test_muting_is_one_click(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        page.get_by_role("button", name="Ines Carvalho").click()
        page.get_by_role("button", name="Mute", exact=True).last.click()
        double.wait_for("POST", "/participants/ines-carvalho/mute$")

    def test_removing_asks_first(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        page.get_by_role("button", name="Ines Carvalho").click()
        page.get_by_role("button", name="Remove from the space").click()
        expect(page.get_by_role("heading", name="Remove Ines Carvalho?")).to_be_visible()
        assert not any("remove" in call.path for call in double.calls)
        page.get_by_role("button", name="Remove from the space").click()
        double.wait_for("POST", "/participants/ines-carvalho/remove$")

    def test_muting_everyone_can_be_undone(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        page.get_by_role("button", name="People").click()
        page.get_by_role("button", name="Mute all speakers").click()
        double.wait_for("POST", "/mute-all$")
        page.get_by_role("button", name="Undo").click()
        double.wait_for("POST", "/participants/ines-carvalho/unmute$")

    def test_a_host_is_asked_whether_to_leave_or_to_end(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_host(open_page)
        page.get_by_role("button", name="Leave").click()
        page.get_by_role("button", name="End for everyone").click()
        page.get_by_role("button", name="End the space").click()
        double.wait_for("POST", "/end$")

    def test_a_listener_has_no_tools(self, double: Double, open_page: OpenPage) -> None:
        evening(double)
        page = as_listener(open_page)
        page.get_by_role("button", name="People").click()
        expect(page.locator('[data-action="mute-all"]')).to_be_hidden()
        expect(page.locator('[data-group="people.hands"]')).to_be_hidden()
