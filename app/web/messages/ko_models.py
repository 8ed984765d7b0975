"""Korean: models, reports, charts, predictions."""

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
    # 모델
    "models.accuracy": "정확도",
    "models.actions": "동작",
    "models.aliases": "별칭",
    "models.aliases.any_question": "이 별칭을 버전 {version}에 지정할까요? 다른 버전에 있던 같은 별칭은 옮겨집니다.",
    "models.aliases.form": (
        "a-z, 0-9, -, _ 를 최대 64자까지 쓸 수 있습니다. “latest”는 항상 최신 버전을 뜻하므로 쓸 수 없습니다."
    ),
    "models.aliases.move_question": (
        "“{alias}” 별칭을 버전 {version}(으)로 옮길까요? 지금은 버전 {now}을(를) 가리키며, 다음 요청부터 이 "
        "별칭을 쓰는 클라이언트는 버전 {version}의 응답을 받습니다."
    ),
    "models.aliases.moved": "이제 “{alias}”은(는) 버전 {version}을(를) 가리킵니다.",
    "models.aliases.of_this": "이 버전의 별칭",
    "models.aliases.other": "별칭",
    "models.aliases.placeholder": "예: staging",
    "models.aliases.promote": "production으로 승격",
    "models.aliases.remove": "{alias} 제거",
    "models.aliases.remove_question": "“{alias}” 별칭을 제거할까요? 이후 {name}@{alias} 요청은 거부됩니다.",
    "models.aliases.removed": "“{alias}” 별칭을 제거했습니다.",
    "models.aliases.roll_back": "{alias}을(를) v{version}(으)로 되돌리기",
    "models.aliases.roll_on": "{alias}을(를) v{version}(으)로 옮기기",
    "models.aliases.set": "별칭 지정",
    "models.aliases.set_question": "“{alias}” 별칭을 버전 {version}에 지정할까요?",
    "models.aliases.text": (
        "별칭은 버전 사이를 옮겨 다니는 이름입니다. 클라이언트는 계속 {name}@production으로 요청하면 되므로 "
        "수정할 필요가 없습니다. “latest”는 항상 최신 버전입니다."
    ),
    "models.backbone": "백본",
    "models.badge.frozen": "백본 변경 없음",
    "models.badge.parity": "서빙 검증됨",
    "models.bytes": "크기",
    "models.calibration.as_served": (
        "모든 로짓을 온도 {temperature}(으)로 나눕니다. 온도는 검증 항목으로 맞추었고, 여기서는 다른 항목으로 "
        "평가했습니다."
    ),
    "models.calibration.cross_fitted": (
        "모든 로짓을 온도 {temperature}(으)로 나눕니다. 바로 이 항목들로 온도를 맞추었으므로, 절반씩 나누어 서로 "
        "다른 절반에서 얻은 온도로 평가했습니다."
    ),
    "models.calibration.unchanged": "온도는 1입니다. 모델의 점수를 그대로 제공합니다.",
    "models.compare": "작업 비교",
    "models.created": "생성 시각",
    "models.dataset": "데이터셋",
    "models.decision": "전략",
    "models.delete.button": "이 버전 삭제",
    "models.delete.question": (
        "{name} v{version}을(를) 별칭과 함께 삭제할까요? 되돌릴 수 없으며, 이후 이 모델로 예측할 수 없습니다."
    ),
    "models.delete.text": "이 버전과 별칭, 보고서가 함께 삭제됩니다. 작업과 데이터셋은 남습니다.",
    "models.delete.title": "삭제",
    "models.deleted": "삭제됨",
    "models.details": "설정과 라이브러리 버전",
    "models.download_ckpt": "Lightning 체크포인트",
    "models.download_zip": "다운로드(zip)",
    "models.empty_button": "작업 시작",
    "models.empty_text": (
        "파인튜닝이 끝나면 모델이 만들어집니다. 데이터셋을 올리고 작업을 시작하면 여기에 나타납니다."
    ),
    "models.empty_title": "아직 모델이 없습니다",
    "models.end_text": "모든 모델을 확인했습니다.",
    "models.end_title": "마지막입니다",
    "models.engine.openvino": "OpenVINO",
    "models.engine.torch": "PyTorch",
    "models.evaluate.button": "평가",
    "models.evaluate.none": "이 종류의 데이터셋이 없습니다. 모델이 아는 레이블로 된 데이터셋을 올려 주세요.",
    "models.evaluate.text": (
        "모델이 본 적 없는, 레이블이 있는 데이터셋으로 성능을 측정합니다. 데이터셋의 레이블은 모두 모델이 아는 "
        "레이블이어야 합니다."
    ),
    "models.evaluate.title": "다른 데이터셋으로 평가",
    "models.find": "정확한 이름",
    "models.find_button": "찾기",
    "models.id": "ID",
    "models.job": "작업",
    "models.labels": "레이블",
    "models.made.title": "만들어진 과정",
    "models.name": "이름",
    "models.no_report_text": "보고서 없이 만들어진 모델입니다. 데이터셋으로 평가하면 성능을 알 수 있습니다.",
    "models.no_report_title": "보고서 없음",
    "models.none_of_name": "이 이름의 모델이 없습니다",
    "models.none_of_name_text": "이름이 정확히 일치해야 합니다. 전체 모델을 확인하세요.",
    "models.of_name": "{name}의 버전",
    "models.owner": "소유자",
    "models.parity.bf16_failed": (
        "bfloat16에서는 레이블 {items}개 중 {labels}개가 바뀌고 확률이 최대 {moved}만큼 달라졌습니다. 따라서 "
        "float32로 제공합니다."
    ),
    "models.parity.bf16_passed": (
        "bfloat16에서도 레이블 {items}개 중 {labels}개만 바뀌고 확률 차이는 최대 {moved}이었습니다. 따라서 "
        "bfloat16으로 제공할 수 있습니다."
    ),
    "models.parity.checked": (
        "공개하기 전에 검증 항목 {items}개를 저장된 파일과 서빙 경로({engine})로 다시 계산했습니다. 학습 때 "
        "계산한 값과의 최대 차이는 {difference}이며, 허용 한도는 1e-4입니다."
    ),
    "models.parity.none": "수치가 기록된 인증서가 없습니다.",
    "models.parity.reused": (
        "헤드 이전 단계의 값은 같은 백본과 데이터를 쓴 이전 모델에서 이미 계산한 것을 재사용했습니다."
    ),
    "models.parity.title": "학습한 그대로 제공됩니다",
    "models.preprocessing.border": "이미지 전체를 {to} 픽셀 안에 맞추고({interpolation}) 나머지를 채웁니다.",
    "models.preprocessing.center": "짧은 변이 {to} 픽셀이 되도록 이미지 크기를 조정합니다({interpolation}).",
    "models.preprocessing.crop": "가운데 {size} 픽셀을 모델에 입력합니다.",
    "models.preprocessing.cut_left": "더 긴 텍스트는 앞부분이 잘립니다.",
    "models.preprocessing.cut_right": "더 긴 텍스트는 뒷부분이 잘립니다.",
    "models.preprocessing.normalise": "색상 값을 평균 {mean}, 표준편차 {std} 기준으로 정규화합니다.",
    "models.preprocessing.squash": "비율과 관계없이 이미지를 {to} 픽셀로 맞춥니다({interpolation}).",
    "models.preprocessing.title": "입력 전처리",
    "models.preprocessing.tokens": "텍스트를 토큰으로 나누며, 모델은 최대 {tokens}개까지 읽습니다.",
    "models.proof.changed": (
        "백본도 함께 학습했습니다. 시작할 때와 가중치가 다르며, 이 모델과 함께 저장되어 있습니다."
    ),
    "models.proof.none": "기록이 없습니다.",
    "models.proof.title": "백본의 변화",
    "models.proof.unchanged": (
        "백본의 가중치는 하나도 바뀌지 않았습니다. 학습 전후 텐서의 해시가 같습니다. 같은 백본을 쓰는 모델들은 "
        "디스크와 메모리에서 백본을 공유합니다."
    ),
    "models.proofs.title": "검증된 사항",
    "models.report_json": "보고서(JSON)",
    "models.table": "최신순 모델 목록",
    "models.task": "종류",
    "models.task.image-classification": "이미지",
    "models.task.text-classification": "텍스트",
    "models.text": "작업이 만든 모델을 최신순으로 보여 줍니다.",
    "models.title": "모델",
    "models.try": "예측 해보기",
    "models.use.command": "명령줄",
    "models.use.text": "자리 표시자를 자신의 키로 바꾸세요. 키를 코드나 버전 관리에 넣지 마세요.",
    "models.use.title": "사용하기",
    "models.versions.all": "모든 버전",
    "models.versions.this": "현재 페이지",
    "models.versions.title": "별칭과 버전",
    "models.versions.version": "버전",
    "models.weights": "사전 학습 가중치",
    "models.weights.random": "없음(무작위)",
    # 보고서
    "report.accuracy": "정확도",
    "report.calibration": "점수를 믿을 수 있나요?",
    "report.calibration_text": (
        "점수가 90%인 예측은 열 번 중 아홉 번 맞아야 합니다. 막대는 실제로 맞은 비율이고, 막대와 대각선 사이의 "
        "선은 차이를 나타냅니다. 옅은 막대는 항목이 적은 구간입니다."
    ),
    "report.classes": "클래스별 구분 성능",
    "report.classes_text": (
        "정밀도: 그 클래스로 예측한 것 중 맞은 비율. 재현율: 그 클래스인 것 중 찾아낸 비율. F1: 둘을 합친 값."
    ),
    "report.confusions": "무엇을 무엇으로 예측했나요?",
    "report.ece": "보정 오차",
    "report.items": "항목 수",
    "report.labelled": "정답:",
    "report.loss": "손실",
    "report.macro_f1": "평균 F1",
    "report.mistakes": "가장 확신한 오답",
    "report.mistakes_gone": "데이터셋이 삭제되면서 함께 삭제되었습니다.",
    "report.mistakes_text": (
        "모델은 확신하지만 레이블과 다릅니다. 둘 중 하나는 틀린 것이니, 레이블이 잘못된 것은 아닌지 확인해 보세요."
    ),
    "report.more_mistakes": "{count}개 더 보기",
    "report.no_mistakes": "모든 항목을 맞혔습니다.",
    "report.predicted": "예측:",
    "report.title.all": "전체 항목 결과",
    "report.title.test": "테스트 항목 결과",
    "report.title.train": "학습 항목 결과",
    "report.title.validation": "검증 항목 결과",
    # 예측
    "predict.answer": "모델의 답",
    "predict.button": "예측",
    "predict.choose": "선택",
    "predict.drop": "이미지를 여기에 끌어다 놓거나 선택하세요",
    "predict.labels": "레이블 {count}개: {labels}",
    "predict.model": "모델",
    "predict.more_classes": "나머지 클래스 {count}개는 점수가 더 낮습니다.",
    "predict.page_text": "직접 고른 이미지나 텍스트로 모델을 시험해 보세요. 입력한 내용은 저장되지 않습니다.",
    "predict.placeholder": "텍스트를 입력하거나 붙여 넣으세요",
    "predict.scores": "클래스별 점수(높은 순)",
    "predict.text": "텍스트",
    "predict.title": "예측 해보기",
    "predict.to_model": "모델 정보",
    "predict.told.alpha_dropped": "투명한 부분은 흰색 배경으로 처리했습니다.",
    "predict.told.exif_applied": "EXIF 정보에 따라 이미지를 바로 세웠습니다.",
    "predict.told.far": (
        "학습 데이터와 다릅니다. 검증 항목의 {share}가 학습 데이터에 더 가깝습니다. 점수를 그대로 믿지 마세요."
    ),
    "predict.told.near": "학습 데이터와 비슷합니다. 검증 항목의 {share}가 학습 데이터에 더 가깝습니다.",
    "predict.told.size": "{size} 픽셀.",
    "predict.told.tokens": "토큰 {tokens}개.",
    "predict.told.truncated": "텍스트가 모델이 읽을 수 있는 길이를 넘어 토큰 {tokens}개만 반영되었습니다.",
    "predict.told.upscaled": "이미지({size} 픽셀)가 모델 입력보다 작아 확대했습니다. 세부 정보가 부족할 수 있습니다.",
    "predict.waiting": "결과가 여기에 표시됩니다.",
}
