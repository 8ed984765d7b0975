"""Korean texts of models, predictions, comparisons, administration and charts."""

from typing import Final

MESSAGES: Final[dict[str, str]] = {
    # 차트
    "charts.as_table": "표로 보기",
    "charts.balance.caption": "클래스별 항목 수: 전체 {classes}개 중 {shown}개",
    "charts.balance.share": "가장 큰 클래스 대비",
    "charts.class": "클래스",
    "charts.classes.caption": "클래스별 성능",
    "charts.classes.first": "레이블 순서로 전체 {classes}개 클래스 중 {shown}개",
    "charts.classes.worst": "전체 {classes}개 클래스 중 성능이 가장 낮은 {shown}개",
    "charts.confusion.caption": "각 클래스의 항목이 무엇으로 예측되었는지",
    "charts.confusion.cell": "{label} → {predicted}(으)로 예측: {share}",
    "charts.confusion.corner": "정답 ↓ 예측 →",
    "charts.confusion.label": "정답",
    "charts.confusion.none": "다른 클래스로 잘못 예측된 항목이 없습니다.",
    "charts.confusion.pairs": "가장 자주 혼동된 {shown}쌍",
    "charts.confusion.part": "해당 정답 항목 중 비율",
    "charts.confusion.predicted": "예측",
    "charts.f1": "F1",
    "charts.items": "항목 수",
    "charts.precision": "정밀도",
    "charts.recall": "재현율",
    "charts.reliability.after": "서빙 점수",
    "charts.reliability.after_accuracy": "정답률(서빙)",
    "charts.reliability.after_confidence": "평균 점수(서빙)",
    "charts.reliability.after_items": "항목 수(서빙)",
    "charts.reliability.axis": "점수",
    "charts.reliability.before": "보정 전",
    "charts.reliability.before_accuracy": "정답률(보정 전)",
    "charts.reliability.before_confidence": "평균 점수(보정 전)",
    "charts.reliability.before_items": "항목 수(보정 전)",
    "charts.reliability.caption": "점수와 실제 정답률",
    "charts.reliability.described": (
        "항목 {items}개에 대한 점수 구간별 정답률입니다. 대각선에 가까울수록 점수를 그대로 믿을 수 있으며, "
        "대각선과의 평균 차이는 {ece}입니다."
    ),
    "charts.reliability.error": "보정 오차 {ece}",
    "charts.score": "점수",
    "charts.split.test": "테스트",
    "charts.split.train": "학습",
    "charts.split.validation": "검증",
    "charts.support": "항목 수",
}
