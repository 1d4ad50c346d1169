"""Tokens from a token server: each grant, each refusal with what to do, and nothing secret in any sentence."""

from __future__ import annotations

import json
import stat
from datetime import timedelta

import pytest

from amends.config import OAuth
from amends.kernel.errors import ConfigError
from amends.kernel.instants import wall_clock
from daemon.oauth import provider, source
from daemon.oauth.source import Source
from daemon.oauth.trouble import TokenRefused, TokenTrouble
from tests.servers import self_signed
from tests.servers.tokens import CLIENT_SECRET


@pytest.mark.parametrize("auth", ["post", "basic"])
def test_client_credentials_give_a_token(source_with, token_server, auth):
    granted = source_with(client_auth=auth).ask()
    assert token_server.is_good(granted.token)
    assert granted.life == 3600
    [asked] = token_server.asked
    assert asked["grant_type"] == "client_credentials" and asked["scope"] == "mail"
    assert ("client_secret" in asked) == (auth == "post")


def test_a_refresh_token_gives_a_token(source_with, token_server, tmp_path):
    token_server.refresh_token(tmp_path / "refresh")
    granted = source_with(refresh_token_file="refresh").ask()
    assert token_server.is_good(granted.token)


def test_an_application_without_a_secret_may_refresh_too(source_with, token_server, tmp_path):
    token_server.refresh_token(tmp_path / "refresh")
    granted = source_with(refresh_token_file="refresh", client_secret=None).ask()
    assert token_server.is_good(granted.token)
    assert "client_secret" not in token_server.asked[0]


def test_a_service_account_signs_for_itself_in_the_name_of_the_mailbox(source_with, token_server, tmp_path):
    token_server.service_account(tmp_path / "key.json")
    granted = source_with(provider="google", token_url="", service_account_file="key.json").ask()
    assert token_server.is_good(granted.token)
    assert set(token_server.asked[0]) == {"grant_type", "assertion"}


def test_what_is_asked_for_is_what_the_provider_needs():
    app = {"tenant": "northwind.example", "client_id": "1f"}
    by_secret = OAuth(provider="microsoft", **app)
    by_token = OAuth(provider="microsoft", refresh_token_file="t", **app)
    google = OAuth(provider="google", service_account_file="key.json")
    assert provider.token_url(by_secret) == "https://login.microsoftonline.com/northwind.example/oauth2/v2.0/token"
    assert provider.scopes(by_secret, sending=True) == ("https://outlook.office365.com/.default",)
    assert provider.scopes(by_token, sending=False)[0] == "https://outlook.office.com/IMAP.AccessAsUser.All"
    assert provider.scopes(by_token, sending=True) == ("https://outlook.office.com/SMTP.Send", "offline_access")
    assert provider.token_url(google) == "https://oauth2.googleapis.com/token"
    assert provider.scopes(google, sending=False) == ("https://mail.google.com/",)


REFUSALS = [
    ("invalid_client", "make a new client secret"),
    ("invalid_scope", "correct oauth.scopes"),
    ("unauthorized_client", "let the application use client credentials"),
    ("access_denied", "check the settings of oauth"),
]


@pytest.mark.parametrize(("error", "remedy"), REFUSALS)
def test_a_refusal_is_one_sentence_that_says_what_to_do(source_with, token_server, error, remedy):
    token_server.refuse(error, "AADSTS7000222: it has expired. Trace ID: 1-2 Correlation ID: 3", status=401)
    with pytest.raises(TokenRefused) as refused:
        source_with().ask()
    sentence = str(refused.value)
    assert sentence.startswith(f"The token server gives out no token for mailbox 'complaints' ({error}: AADSTS7000222")
    assert remedy in sentence and sentence.endswith(".") and "\n" not in sentence and "Trace ID" not in sentence


def test_a_refused_refresh_token_says_where_the_new_one_goes_and_never_what_it_was(source_with, token_server, tmp_path):
    token = token_server.refresh_token(tmp_path / "refresh")
    token_server.revoke_refresh_tokens()
    with pytest.raises(TokenRefused) as refused:
        source_with(refresh_token_file="refresh").ask()
    assert "log in once more as complaints and put the new refresh token into refresh" in str(refused.value)
    assert token not in str(refused.value) and "[withheld] has been revoked" in str(refused.value)


def test_a_wrong_secret_is_not_repeated(source_with, token_server):
    token_server.refuse("invalid_client", f"{CLIENT_SECRET} is not the secret")
    with pytest.raises(TokenRefused) as refused:
        source_with().ask()
    assert CLIENT_SECRET not in str(refused.value)


def test_words_of_the_token_server_cannot_write_a_line_or_reach_the_terminal(source_with, token_server):
    token_server.refuse("bad\n\x1b[2J", "evil\r\nsecond line \x1b]0;title\x07")
    with pytest.raises(TokenRefused) as refused:
        source_with().ask()
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_token_server_in_trouble_is_no_refusal(source_with, token_server, status):
    token_server.answer(status, "busy", Retry_After="120")
    with pytest.raises(TokenTrouble) as trouble:
        source_with().ask()
    assert not isinstance(trouble.value, TokenRefused)
    assert trouble.value.pause == 120


def test_a_token_server_that_is_down_is_named(source_with, token_server):
    token_server.stop()
    with pytest.raises(TokenTrouble, match=rf"127.0.0.1:{token_server.port} cannot be reached: Connection refused"):
        source_with().ask()


@pytest.mark.parametrize(
    ("status", "document", "words"),
    [
        (200, "<html>Please log in to the wireless network", "what is no token"),
        (200, "x" * 300_000, "what is no token"),
        (200, ["a", "list"], "what is no token"),
        (200, {"token_type": "Bearer"}, "without a token"),
        (200, {"access_token": "good", "expires_in": "soon"}, "what is no token"),
        (200, {"access_token": "two words"}, "without a token"),
        (200, {"access_token": "line\x01auth=other"}, "without a token"),
        (200, {"access_token": "good", "token_type": "mac"}, "mail servers do not take"),
        (404, "not here", "correct oauth.token_url"),
    ],
)
def test_what_is_no_answer_of_a_token_server_is_told_apart(source_with, token_server, status, document, words):
    token_server.answer(status, document)
    with pytest.raises(TokenTrouble, match=words):
        source_with().ask()


def test_an_answer_that_comes_by_drips_is_left(source_with, token_server, monkeypatch):
    from daemon.oauth import ask

    monkeypatch.setattr(ask, "ANSWER_SECONDS", 0.3)
    token_server.drips = True
    with pytest.raises(TokenTrouble, match="what is no token"):
        source_with().ask()
    token_server.behave()
    assert token_server.is_good(source_with().ask().token)


def test_an_answer_that_is_packed_is_unpacked_within_bounds(source_with, token_server):
    import gzip

    token_server.answer(200, gzip.compress(b'{"access_token": "good"}'), Content_Encoding="gzip")
    assert source_with().ask().token == "good"
    token_server.answer(200, gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")
    with pytest.raises(TokenTrouble, match="what is no token"):
        source_with().ask()


def test_no_proxy_stands_between_us_and_a_token_server_on_this_machine(source_with, token_server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert token_server.is_good(source_with().ask().token)


def test_nobody_leads_us_elsewhere_with_our_secret(source_with, token_server):
    token_server.answer(307, "", Location=f"{token_server.url}/elsewhere")
    with pytest.raises(TokenRefused, match=r"sends us elsewhere; correct oauth.token_url"):
        source_with().ask()
    assert len(token_server.asked) == 1


@pytest.mark.parametrize(("told", "life"), [("1800", 1800), (True, 300), (-5, 300), (10**9, 86_400)])
def test_the_life_of_a_token_is_believed_within_bounds(source_with, token_server, told, life):
    token_server.answer(200, {"access_token": "good", "expires_in": told})
    assert source_with().ask().life == life


def test_a_token_server_with_a_certificate_of_nobody_gets_no_secret(source_with, token_server, tmp_path):
    certificate, _ = self_signed(tmp_path)
    url = token_server.behind_tls(*self_signed(tmp_path))
    with pytest.raises(TokenTrouble, match=r"certificate that cannot be trusted \(self-signed certificate\)"):
        source_with(token_url=url).ask()
    assert token_server.asked == []
    assert token_server.is_good(source_with(token_url=url, ca_file=str(certificate)).ask().token)


def test_a_token_server_with_the_certificate_of_another_gets_no_secret(source_with, token_server, tmp_path):
    certificate, key = self_signed(tmp_path, names="DNS:other.example")
    url = token_server.behind_tls(certificate, key)
    with pytest.raises(TokenTrouble, match=r"certificate that cannot be trusted \(IP address mismatch"):
        source_with(token_url=url, ca_file=str(certificate)).ask()
    assert token_server.asked == []


def test_a_wrong_clock_is_named_where_assertions_are_refused_for_it(settings_with, token_server, tmp_path):
    token_server.service_account(tmp_path / "key.json")
    settings = settings_with(provider="google", token_url="", service_account_file="key.json")
    wrong = Source(settings, settings.mailbox[0], wall=lambda: wall_clock() + timedelta(minutes=90))
    with pytest.raises(TokenRefused, match="this machine's clock is 90 minutes ahead; set it by NTP"):
        wrong.ask()
    right = Source(settings, settings.mailbox[0])
    assert token_server.is_good(right.ask().token)


@pytest.mark.parametrize(
    ("text", "why"),
    [("no json", "it is no JSON"), ("[]", "not of the type"), ('{"type": "authorized_user"}', "not of the type")],
)
def test_a_file_that_is_no_service_account_is_refused_at_start_and_later(source_with, tmp_path, text, why):
    (tmp_path / "key.json").write_text(text)
    mine = source_with(provider="google", token_url="", service_account_file="key.json")
    with pytest.raises(ConfigError, match=why):
        mine.require()
    with pytest.raises(TokenRefused, match=why):
        mine.ask()


def test_a_service_account_cannot_send_its_assertion_in_clear(source_with, token_server, tmp_path):
    path = token_server.service_account(tmp_path / "key.json")
    account = json.loads(path.read_text()) | {"token_uri": "http://tokens.example/token"}
    path.write_text(json.dumps(account))
    with pytest.raises(ConfigError, match="no https:// address"):
        source_with(provider="google", token_url="", service_account_file="key.json").require()


def test_a_service_account_with_a_broken_key_is_one_sentence(source_with, token_server, tmp_path):
    path = token_server.service_account(tmp_path / "key.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"private_key": "-----BEGIN NOTHING-----"}))
    with pytest.raises(TokenRefused, match="its private_key is no key"):
        source_with(provider="google", token_url="", service_account_file="key.json").ask()


def test_a_missing_refresh_token_is_a_wrong_configuration_at_start(source_with, tmp_path):
    mine = source_with(refresh_token_file="refresh")
    with pytest.raises(ConfigError, match="No such file or directory; put a refresh token there"):
        mine.require()
    (tmp_path / "refresh").write_text("open to all\n")
    (tmp_path / "refresh").chmod(0o644)
    with pytest.raises(ConfigError, match="run: chmod 600"):
        mine.require()
    assert stat.S_IMODE((tmp_path / "refresh").stat().st_mode) == 0o644


def test_without_the_extra_one_sentence_says_what_to_install(source_with, monkeypatch):
    monkeypatch.setattr(source, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'amends\[oauth\]'"):
        source_with().require()
