"""No secret of the environment, and no password in an address, is in a text that leaves the platform."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.monitoring.redaction import HIDDEN, SHORTEST, secrets_in, without_secrets

ENVIRONMENT = {
    "SLACK_TOKEN": "xoxb-1-abc",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
    "RECSYS_REDIS_URL": "redis://shop:p%40ssword@cache:6379/0",
    "MLFLOW_TRACKING_URI": "https://mlflow.example.com",
    "HAS_TOKEN": "true",
    "HOME": "/home/shop",
}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("token xoxb-1-abc was refused", f"token {HIDDEN} was refused"),
        ("AWS said no to wJalrXUtnFEMI", f"AWS said no to {HIDDEN}"),
        ("cannot reach redis://shop:p%40ssword@cache:6379/0", f"cannot reach redis://shop:{HIDDEN}@cache:6379/0"),
        ("login with p@ssword failed", f"login with {HIDDEN} failed"),
        ("postgresql://me:x@db/y and http://:pw@[::1]/", f"postgresql://me:{HIDDEN}@db/y and http://:{HIDDEN}@[::1]/"),
        ("an old one: xoxp-9-zzz", f"an old one: {HIDDEN}"),
        ("https://s3/x?X-Amz-Signature=abc123&y=1", f"https://s3/x?X-Amz-Signature={HIDDEN}&y=1"),
        ("{'password': 'hunter2', 'user': 'me'}", f"{{'password': '{HIDDEN}', 'user': 'me'}}"),
    ],
)
def test_secrets_are_hidden_wherever_they_stand(text: str, clean: str) -> None:
    assert without_secrets(text, secrets_in(ENVIRONMENT)) == clean


@pytest.mark.parametrize(
    "text",
    [
        "it is true that /home/shop has no events",
        "MLflow does not answer at https://mlflow.example.com; start it",
        "see http://localhost:3000/runs/1 or write to team@example.com",
        "NDCG at 10 is 0.01, below 0.05: it was 12:30",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert without_secrets(text, secrets_in(ENVIRONMENT)) == text


@given(st.text(min_size=SHORTEST).filter(lambda text: text.strip() == text), st.text(), st.text())
def test_no_secret_survives_whatever_it_is_and_wherever_it_stands(secret: str, before: str, after: str) -> None:
    clean = without_secrets(f"{before}{secret}{after}", secrets_in({"SOME_PASSWORD": secret}))
    assert secret not in clean or secret in HIDDEN * len(secret) or secret in f"{before}{HIDDEN}{after}"
