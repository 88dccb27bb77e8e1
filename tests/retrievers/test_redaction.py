"""What is a secret and what is none, case by case."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrievers.redaction import redact
from tests.retrievers.secrets_support import NAMED, TOKENS, key_block, made


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_shows_by_how_it_begins(token: str) -> None:
    kind = TOKENS[token]
    assert redact(f"Call it with {token}.\nThen go on.") == (f"Call it with [redacted: {kind}].\nThen go on.", 1)
    for before, after in (('{"x": "', '"}'), ("`", "`"), ("export X=", ""), ("(", ")")):
        assert redact(before + token + after) == (f"{before}[redacted: {kind}]{after}", 1)
    assert redact(f"X{token}")[1] == 0, "the end of a longer word"


@pytest.mark.parametrize(("before", "secret", "kind"), NAMED)
def test_a_value_shows_by_its_name(before: str, secret: str, kind: str) -> None:
    after = {'"': '"', "'": "'", "`": "`", ">": "</password>"}.get(before[-1], "\nand more")
    after = '\\"}' if before.endswith('\\"') else after
    assert redact(f"{before}{secret}{after}") == (f"{before}[redacted: {kind}]{after}", 1)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql://app:s3cretPw9@db:5432/x", "postgresql://app:[redacted: password in a URL]@db:5432/x"),
        ("mysql://user:pw@host", "mysql://user:[redacted: password in a URL]@host"),
        ("redis://:Zx81kkPq@cache:6379", "redis://:[redacted: password in a URL]@cache:6379"),
        ("mongodb+srv://u:p%40ss1@c.net, x", "mongodb+srv://u:[redacted: password in a URL]@c.net, x"),
        ("Authorization: Bearer q7Xw9LmN2pRt5VyZ", "Authorization: Bearer [redacted: bearer token]"),
        ("authorization: basic dXNlcjpodW50ZXIyMg==", "authorization: basic [redacted: user and password]"),
    ],
)
def test_urls_and_headers(text: str, redacted: str) -> None:
    assert redact(text) == (redacted, 1)


KEPT = """\
api_key = "<your-key>"
API_KEY=xxx
API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx
API_KEY=your_api_key_here_123
password: ${DB_PASSWORD}
password: "{{ vault_password }}"
password: changeme
SECRET_KEY: change-me-in-production
apiKey: process.env.API_KEY
token = os.environ["TOKEN"]
token: ${{ secrets.GITHUB_TOKEN }}
secret = secrets.token_urlsafe(32)
password = generate_password_hash(form.password.data)
const apiKey = config.getApiKey();
commit 3f2a9c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b
key: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
See 550e8400-e29b-41d4-a716-446655440000
Key: src/auth/tokenService.ts
token: src/lib/auth/token-v2.ts
pwd: /home/user/project2024
password: string
password: required
password: text
password: varchar255
password: Mapped[str]
token: number
next_token: page12
SECRET_KEY=${SECRET_KEY}
SECRET_KEY=your-secret-key
JWT_SECRET=HS256
DB_PASS=$DB_PASS
DB_PASS=
DB_PASSWORD=changeme
POSTGRES_PASSWORD=password
PASSWORD=required
login(name=name, password=newpass)
FORGOT_PASSWORD = 'forgotPassword'
RESET_PASSWORD: "/reset-password"
Reset password: phase21 opens the form
Tests pass: suite12
password: str = Field(min_length=8)
token: Optional[str] = None
access_token: TokenResponse["access_token"]
the token is base64url-encoded and the secret is shared
The password is hashed with argon2id.
Password: required, 8+ chars
Password: bcrypt12
"password": "Enter your password"
password="user-password-field"
password: user@example.com
max_tokens: 4096
tokens: 8192
primary key: user_id
cache_key = f"user:{user_id}:profile"
key: Ctrl+Shift+F12
key: components.header.title2
secret: my-app-tls-2024
token: JWT_TOKEN_V2
Token: UserTokenV2Service
token address: 0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48
public_key: MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1234
signing key: RS256
encryption_key: AES-256-GCM
Tests pass: 42/42
postgres://user:password@localhost:5432/db
postgresql://postgres:postgres@localhost/db
https://user:${PASS}@host
mysql://user:<pw>@host
http://localhost:8000/v1/chat
Bearer token-based-authentication
Authorization: Bearer <token>
Authorization: Bearer YOUR_ACCESS_TOKEN
the basic authentication scheme
a task-management-sk-fading-circle-loader-long
keys begin with `-----BEGIN RSA PRIVATE KEY-----` and end
`ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` and `sk-...` and AKIAXXXXXXXXXXXXXXXX
"eos_token": "<|endoftext|>"
"""


@pytest.mark.parametrize("line", KEPT.splitlines())
def test_what_is_named_described_or_to_be_filled_in_stays(line: str) -> None:
    assert redact(line) == (line, 0)


@pytest.mark.parametrize(
    "key",
    [
        "sk-" + "abcdefghijklmnopqrstuvwxyz" + "123456",
        "sk-proj-" + "abcdefghijklmnopqrstuvwxyz" + "0123456789ABCD",
        "sk-ant-api03-" + "abcdefghijklmnopqrstuvwxyz",
        "glpat-" + "abcdefghij" + "1234567890",
    ],
)
def test_a_key_that_runs_through_the_alphabet_is_one(key: str) -> None:
    """Such ones were taken for words that are joined by hyphens."""
    redacted, count = redact(f"the key is {key}, do not share it")
    assert count == 1
    assert key not in redacted


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_goes_with_all_its_lines(kind: str) -> None:
    text = f"# Keys\n\n{key_block(kind)}\n\n## Next\n"
    assert redact(text) == ("# Keys\n\n[redacted: private key]" + "\n" * 6 + "\n\n## Next\n", 1)
    escaped = f'"{key_block(kind)}"'.replace("\n", "\\n")
    assert redact(escaped) == ('"[redacted: private key]"', 1)


def test_a_private_key_that_was_cut_off_takes_no_other_line_along() -> None:
    text = f"{key_block(end=False)}\n\n## Next\n\nprose\n{key_block()}\n"
    redacted, count = redact(text)
    assert count == 2
    assert redacted == "[redacted: private key]" + "\n" * 5 + "\n\n## Next\n\nprose\n[redacted: private key]" + "\n" * 7


def test_several_on_a_line_and_one_in_another() -> None:
    token = "ghp_" + made(36)
    assert redact(f"GITHUB_TOKEN={token} API_KEY={made(32)}") == (
        "GITHUB_TOKEN=[redacted: GitHub token] API_KEY=[redacted: key]",
        2,
    )
    assert redact(f"https://x:{token}@github.com") == ("https://x:[redacted: GitHub token]@github.com", 1)


def test_prose_about_code_is_left_alone() -> None:
    banks = Path(__file__).resolve().parents[3] / "shared" / "data" / "memory_banks"
    texts = [path.read_text(encoding="utf-8") for path in sorted(banks.rglob("*.md"))]
    if not texts:
        pytest.skip("../shared/data/memory_banks is not there")
    for text in texts:
        assert redact(text) == (text, 0)
