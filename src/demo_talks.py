"""What the people of `chatty demo` have said to each other, and how long ago."""

from dataclasses import dataclass
from datetime import timedelta

PEOPLE = (
    ("hong", "홍길동"),
    ("kim", "김서연"),
    ("lee", "이도윤"),
    ("park", "박하은"),
    ("choi", "최지우"),
    ("anna", "Anna Berg"),
    ("boris", "Boris Novak"),
    ("claire", "Claire Dubois"),
)
FRIENDS = (
    ("hong", "kim"), ("hong", "lee"), ("hong", "park"), ("hong", "anna"), ("kim", "lee"), ("lee", "park"),
    ("park", "choi"), ("choi", "anna"), ("anna", "boris"), ("boris", "claire"),
)  # fmt: skip
ASKED = (("choi", "hong"), ("claire", "hong"))


@dataclass(frozen=True)
class Line:
    """Something said. `reply_to` is the place of an earlier line; `reactions` who put what."""

    author: str
    text: str
    reply_to: int | None = None
    mentions: tuple[str, ...] = ()
    reactions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Talk:
    """What was said in a room: of two members their direct room, else a group that the first of them has made.

    It began `ago`; lines are some minutes apart. Who is in `read_by` has read all of it. `notice`: the place of the
    line that is pinned on top.
    """

    members: tuple[str, ...]
    ago: timedelta
    lines: tuple[Line, ...]
    name: str | None = None
    notice: int | None = None
    read_by: tuple[str, ...] = ()

    @property
    def direct(self) -> bool:
        return len(self.members) == 2


TALKS = (
    Talk(
        ("hong", "kim", "lee", "park"),
        timedelta(days=6, hours=3),
        (
            Line("hong", "이번 분기 발표 자료, 금요일까지 모아 볼게요."),
            Line("kim", "디자인 쪽은 제가 정리하겠습니다.", reactions=(("hong", "👍"), ("lee", "👍"))),
            Line("lee", "매출 숫자는 수요일에 확정돼요. 그 뒤에 넣어도 괜찮을까요?"),
            Line("hong", "네, 괜찮아요. 수요일 오후 3시에 회의실에서 같이 봅시다.", reply_to=2),
            Line("park", "회의실 예약했습니다: 3층 한강, 수요일 15:00–16:00", reactions=(("kim", "🙏"), ("hong", "❤️"))),
            Line("lee", "매출 확정됐습니다! 지난 분기보다 12% 늘었어요 🎉", reactions=(("hong", "🎉"), ("kim", "🎉"))),
            Line("park", "@홍길동 표지에 넣을 사진 두 장 중에 하나만 골라 주세요.", mentions=("hong",)),
            Line("hong", "두 번째 사진이 좋네요. 수고 많으셨어요!", reply_to=6),
        ),
        name="발표 준비",
        notice=4,
        read_by=("hong", "kim"),
    ),
    Talk(
        ("kim", "hong", "lee"),
        timedelta(days=2, hours=5),
        (
            Line("kim", "주말에 북한산 가실 분?"),
            Line("lee", "저요! 몇 시에 만나요?", reactions=(("kim", "🙌"),)),
            Line("kim", "토요일 아침 8시, 구파발역 2번 출구요."),
            Line("hong", "8시는 조금 이른데… 9시는 어때요? 😅", reply_to=2),
            Line("kim", "그럼 8시 반으로 해요!", reactions=(("hong", "👍"), ("lee", "👍"))),
            Line("lee", "김밥은 제가 싸 갈게요."),
        ),
        read_by=("kim",),
    ),
    Talk(
        ("boris", "anna", "claire"),
        timedelta(days=1, hours=7),
        (
            Line("boris", "Release 2.4 goes out today at four. Anything still open?"),
            Line("anna", "Two reviews left. Both small."),
            Line("claire", "The changelog is in. Please read the part about migrations.", mentions=("anna",)),
            Line("anna", "Read it, and fixed one date.", reply_to=2, reactions=(("claire", "🙏"),)),
            Line("boris", "It is out. Thank you all!", reactions=(("anna", "🎉"), ("claire", "🚀"))),
        ),
        name="Releases",
        notice=0,
        read_by=("boris", "anna"),
    ),
    Talk(
        ("hong", "kim"),
        timedelta(hours=20),
        (
            Line("hong", "오늘 점심 뭐 먹을까요?"),
            Line("kim", "김치찌개 어때요? 회사 앞에 새로 생긴 집이 맛있대요 🙂"),
            Line("hong", "좋아요! 12시에 로비에서 봐요.", reactions=(("kim", "👌"),)),
            Line("kim", "네, 이따 봬요~"),
        ),
        read_by=("hong", "kim"),
    ),
    Talk(
        ("lee", "park"),
        timedelta(hours=6),
        (
            Line("lee", "회의 자료 올려 두었어요."),
            Line("park", "확인했습니다. 3쪽 숫자만 다시 봐 주세요."),
            Line("lee", "앗, 바로 고칠게요!", reply_to=1),
        ),
    ),
    Talk(
        ("anna", "boris"),
        timedelta(hours=3),
        (
            Line("anna", "Did the release go out?"),
            Line("boris", "Ten minutes ago. Nothing on fire so far."),
            Line("anna", "Then let's have lunch before something is.", reactions=(("boris", "😂"),)),
        ),
        read_by=("anna",),
    ),
    Talk(
        ("anna", "hong"),
        timedelta(hours=1),
        (
            Line("hong", "안녕하세요, 길동입니다. 반갑습니다!"),
            Line("anna", "Hi! My Korean is slow: 반갑습니다 👋", reactions=(("hong", "👏"),)),
            Line("hong", "아주 잘하시는데요?"),
        ),
        read_by=("hong",),
    ),
)
