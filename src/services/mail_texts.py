"""What the mails say, in Korean and English, as text and as HTML."""

from html import escape
from typing import Literal, NamedTuple

Language = Literal["ko", "en"]


class MailText(NamedTuple):
    subject: str
    plain: str
    html: str


class _Words(NamedTuple):
    subject: str
    paragraphs: tuple[str, ...]
    button: str = ""
    after: tuple[str, ...] = ()


_IGNORE_KO = "요청하신 적이 없다면 이 메일을 무시하셔도 됩니다."
_IGNORE_EN = "If you did not ask for this, you may ignore this mail."

_WORDS: dict[tuple[str, Language], _Words] = {
    ("verify_email", "ko"): _Words(
        "[Chatty] 이메일 주소를 확인해 주세요",
        ("Chatty에 가입해 주셔서 감사합니다.", "아래 링크를 눌러 이메일 주소를 확인해 주세요. 24시간 동안 유효합니다."),
        "이메일 주소 확인",
        ("가입하신 적이 없다면 이 메일을 무시하셔도 됩니다.",),
    ),
    ("verify_email", "en"): _Words(
        "[Chatty] Please confirm your e-mail address",
        ("Welcome to Chatty.", "Follow this link to confirm your e-mail address. It works for 24 hours."),
        "Confirm the address",
        ("If you did not sign up, you may ignore this mail.",),
    ),
    ("reset_password", "ko"): _Words(
        "[Chatty] 비밀번호 재설정",
        ("비밀번호를 잊으셨나요?", "아래 링크에서 새 비밀번호를 정할 수 있습니다. 1시간 동안 한 번만 쓸 수 있습니다."),
        "새 비밀번호 정하기",
        (_IGNORE_KO,),
    ),
    ("reset_password", "en"): _Words(
        "[Chatty] Choose a new password",
        ("Forgotten your password?", "Follow this link to choose a new one. It works once, within one hour."),
        "Choose a new password",
        (_IGNORE_EN,),
    ),
    ("password_changed", "ko"): _Words(
        "[Chatty] 비밀번호가 변경되었습니다",
        (
            "방금 Chatty 비밀번호가 변경되어 다른 기기에서는 로그아웃되었습니다.",
            "직접 변경하신 것이 아니라면, 로그인 화면의 '비밀번호 찾기'로 바로 새 비밀번호를 정해 주세요.",
            "설정의 로그인 방법에 모르는 연결이 있다면 함께 해제해 주세요.",
        ),
    ),
    ("password_changed", "en"): _Words(
        "[Chatty] Your password was changed",
        (
            "Your Chatty password has just been changed, and other devices were signed out.",
            "If that was not you, choose a new password at once: 'Forgotten password' on the sign-in page.",
            "Then look at the sign-in methods in your settings, and unlink what you do not know.",
        ),
    ),
    ("sign_in_method_added", "ko"): _Words(
        "[Chatty] 로그인 방법이 추가되었습니다",
        (
            "이제 {method} 계정으로도 Chatty에 로그인할 수 있습니다.",
            "직접 추가하신 것이 아니라면, 설정에서 연결을 해제하고 바로 비밀번호를 바꿔 주세요.",
        ),
    ),
    ("sign_in_method_added", "en"): _Words(
        "[Chatty] A sign-in method was added",
        (
            "You can now sign in to Chatty with {method}, too.",
            "If that was not you, unlink it in the settings, and change your password at once.",
        ),
    ),
    ("sign_in_method_removed", "ko"): _Words(
        "[Chatty] 로그인 방법이 삭제되었습니다",
        (
            "{method} 계정과의 연결이 해제되어 더 이상 이 방법으로 Chatty에 로그인할 수 없으며, "
            "다른 기기에서는 로그아웃되었습니다.",
            "직접 해제하신 것이 아니라면, 로그인 화면의 '비밀번호 찾기'로 바로 새 비밀번호를 정해 주세요.",
        ),
    ),
    ("sign_in_method_removed", "en"): _Words(
        "[Chatty] A sign-in method was removed",
        (
            "{method} was unlinked: you can no longer sign in to Chatty with it. Other devices were signed out.",
            "If that was not you, choose a new password at once: 'Forgotten password' on the sign-in page.",
        ),
    ),
    ("account_deleted", "ko"): _Words(
        "[Chatty] 계정이 삭제되었습니다",
        (
            "요청하신 대로 Chatty 계정이 삭제되었습니다.",
            "보내신 메시지는 이름 없이 대화에 남습니다. 이 이메일 주소로 언제든지 새로 가입하실 수 있습니다.",
        ),
    ),
    ("account_deleted", "en"): _Words(
        "[Chatty] Your account was deleted",
        (
            "Your Chatty account has been deleted, as you asked.",
            "The messages that you sent stay in their conversations, without your name. "
            "You may sign up again with this address at any time.",
        ),
    ),
}

_GREETING: dict[Language, str] = {"ko": "{}님, 안녕하세요.", "en": "Hello {},"}
_GREETING_NOBODY: dict[Language, str] = {"ko": "안녕하세요.", "en": "Hello,"}


def write(about: str, language: Language, nickname: str | None, link: str = "", method: str = "") -> MailText:
    """A mail to `nickname`, or to whoever has the address; `link` and `method` are shown where the mail has them."""
    words = _WORDS[about, language]
    words = words._replace(paragraphs=tuple(line.replace("{method}", method) for line in words.paragraphs))
    greeting = _GREETING[language].format(nickname) if nickname else _GREETING_NOBODY[language]
    plain = "\n\n".join((greeting, *words.paragraphs, *((link,) if link else ()), *words.after, "Chatty"))
    return MailText(words.subject, plain + "\n", _html(language, greeting, words, link))


def _html(language: Language, greeting: str, words: _Words, link: str) -> str:
    paragraphs = [f"<p>{escape(line)}</p>" for line in (greeting, *words.paragraphs)]
    if link:
        paragraphs.append(f'<p><a href="{escape(link)}">{escape(words.button)}</a></p>')
        paragraphs.append(f"<p>{escape(link)}</p>")
    paragraphs += [f"<p>{escape(line)}</p>" for line in (*words.after, "Chatty")]
    head = f'<meta charset="utf-8"><title>{escape(words.subject)}</title>'
    return f'<!doctype html><html lang="{language}"><head>{head}</head><body>{"".join(paragraphs)}</body></html>\n'
