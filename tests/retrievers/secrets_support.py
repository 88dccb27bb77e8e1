"""Secrets to find. None is anybody's: all are put together from parts, so scanners of the repository stay quiet."""

from __future__ import annotations

import base64
import random
import string

BASE62 = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
_CHANCE = random.Random(7)  # noqa: S311 - the same ones every time


def made(length: int, alphabet: str = BASE62) -> str:
    return "".join(_CHANCE.choices(alphabet, k=length))


def key_block(kind: str = "RSA ", lines: int = 5, *, end: bool = True) -> str:
    body = "\n".join(made(64, BASE62 + "+/") for _ in range(lines))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}" + (f"\n-----END {kind}PRIVATE KEY-----" if end else "")


TOKENS = {
    "AKIA" + made(16, string.ascii_uppercase + string.digits): "AWS access key",
    "ghp_" + made(36): "GitHub token",
    "github_pat_" + made(22) + "_" + made(59): "GitHub token",
    "glpat-" + made(20): "GitLab token",
    "xoxb-" + made(12, string.digits) + "-" + made(24): "Slack token",
    "AIza" + made(35): "Google API key",
    "sk_live_" + made(24): "Stripe key",
    "sk-" + made(48): "API key",
    "sk-proj-" + made(60, BASE62 + "_-"): "API key",
    "sk-ant-api03-" + made(90, BASE62 + "_-"): "API key",
    "npm_" + made(36): "npm token",
    "hf_" + made(34): "Hugging Face token",
    f"eyJ{made(33)}.eyJ{made(50)}.{made(43)}": "JSON web token",
}

NAMED = [
    ("DB_PASSWORD=", "hunter2!x", "password"),
    ("password: '", "hunter22", "password"),
    ('  "password": "', "Tr0ub4dor&3", "password"),
    ("**Password:** ", "Summer2024!", "password"),
    ("The admin password is `", "admin123", "password"),
    ("the password is ", "P@ssw0rd1", "password"),
    ("mysql --password ", "hunter22!", "password"),
    ("<password>", "hunter22!", "password"),
    ("Server=x;Password=", "Qwerty99!", "password"),
    ("password: ", "hunter2", "password"),
    ("- **Password**: ", "hunter2", "password"),
    ('"password": "', "hunter2", "password"),
    ("| password | ", "hunter2", "password"),
    ("DB_PASS=", "hunter2", "password"),
    ("DB_PASS=", "letmein", "password"),
    ("db_pass: ", "s3cr3t!", "password"),
    ("POSTGRES_PASSWORD=", "postgres", "password"),
    ("SECRET_KEY=", "supersecret123", "secret"),
    ('SECRET_KEY = "', "supersecret123", "secret"),
    ("API_TOKEN: ", "letmein2", "token"),
    ("API_KEY=", made(32, HEX), "key"),
    ('api_key: str = "', made(24), "key"),
    ('"apiKey": "', made(20), "key"),
    ("- **API key**: `", made(24), "key"),
    ("AccountKey=", base64.b64encode(_CHANCE.randbytes(64)).decode(), "key"),
    ("api_key: ", "550e8400-e29b-41d4-a716-446655440000", "key"),
    ("STRIPE_KEY: ", "rV8x" + made(28), "key"),
    ("| API_KEY | ", "q7" + made(32), "key"),
    ("JWT_SECRET=", made(32, string.ascii_lowercase + string.digits), "secret"),
    ('client_secret = "', made(30), "secret"),
    ("aws_secret_access_key = ", made(40, BASE62 + "/+"), "secret"),
    ('os.environ["API_TOKEN"] = "', made(32), "token"),
    ('const token: string = "', made(24), "token"),
    ('{\\"token\\":\\"', made(24), "token"),
    ("token: ", made(40, HEX), "token"),
]
