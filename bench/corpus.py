# ruff: noqa: E501, SIM905 - the words stand as words
"""Korean small talk without end, for measuring what depends on words: nouns with their 조사, verbs with their endings.

Words follow Zipf's law: the most common are in 6 lines of a hundred, most are rare. The same seed gives the same lines.
"""

import itertools
import random
from collections.abc import Iterator
from typing import Final

COMMON: Final = "점심"
"""A word in some 6 lines of a hundred."""

_NOUNS = """점심 회의 오늘 내일 우리 시간 사진 저녁 커피 영화 주말 학교 친구 엄마 아빠 사람 생각 얘기 전화 메일 일정 약속 버스
지하철 택시 기차 공항 여행 바다 강릉 제주 부산 서울 날씨 우산 김치찌개 떡볶이 치킨 맥주 라면 냉면 비빔밥 운동 축구 야구 게임 노래 음악 공연
전시 책방 도서관 병원 약국 은행 마트 편의점 숙제 시험 발표 보고서 계약서 견적 배포 버그 서버 코드 리뷰 디자인 화면 버튼 알림 채팅 프로젝트
고양이 강아지 아기 생일 선물 케이크 결혼식 이사 청소 빨래 설거지 장보기 월급 휴가 연차 출장 면접 이력서 회식 팀장님 대표님 선생님""".split()
_PARTICLES = [
    "",
    "",
    "을",
    "를",
    "이",
    "가",
    "은",
    "는",
    "에",
    "에서",
    "도",
    "으로",
    "이랑",
    "하고",
    "까지",
    "부터",
    "의",
    "만",
]
_VERBS = "먹 가 보 하 만나 기다리 시작하 끝나 보내 받 찾 사 타 쉬 자 일어나 도착하 출발하 부탁하 확인하 준비하 연락하".split()
_ENDINGS = ["자", "요", "는데", "고", "지", "네", "면", "니까", "려고", "ㄹ까", "습니다", "어", "던데", "잖아", "겠다"]
_LATIN = "ok API v2 link PR zoom Wi-Fi PDF USB deploy".split()
_CLOSINGS = ["", "", "", "!", "?", "~", " ㅋㅋ", " ㅠㅠ", " ㅎㅎ", " 👍", " 🙏", "...", "."]
_SYLLABLES = 11_172


class Corpus:
    """Lines without end. `vocabulary`: how many rare words there are beside the everyday ones."""

    def __init__(self, seed: int = 1, vocabulary: int = 20_000) -> None:
        self._random = random.Random(seed)
        self.rare = [self._made_up() for _ in range(vocabulary)]
        nouns = _NOUNS + self.rare
        self._nouns = nouns
        self._weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(nouns))))

    def lines(self) -> Iterator[str]:
        while True:
            yield self.line()

    def line(self) -> str:
        """One to eight words, most often three or four."""
        count = min(8, 1 + int(self._random.expovariate(0.4)))
        return " ".join(self._word() for _ in range(count)) + self._random.choice(_CLOSINGS)

    def _word(self) -> str:
        kind = self._random.random()
        if kind < 0.6:
            (noun,) = self._random.choices(self._nouns, cum_weights=self._weights)
            return noun + self._random.choice(_PARTICLES)
        if kind < 0.92:
            return self._random.choice(_VERBS) + self._random.choice(_ENDINGS)
        return self._random.choice(_LATIN) if kind < 0.96 else str(self._random.randrange(1000))

    def _made_up(self) -> str:
        length = self._random.choice((2, 2, 3, 3, 4))
        return "".join(chr(0xAC00 + self._random.randrange(_SYLLABLES)) for _ in range(length))
