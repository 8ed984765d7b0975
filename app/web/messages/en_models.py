"""English: models, reports, charts, predictions."""

from typing import Final

MESSAGES: Final[dict[str, str]] = {
    # Charts
    "charts.as_table": "As a table",
    "charts.balance.caption": "Items by class: {shown} of {classes} classes",
    "charts.balance.share": "Share of the largest class",
    "charts.class": "Class",
    "charts.classes.caption": "Each class by itself",
    "charts.classes.first": "{shown} of {classes} classes in the order of the labels",
    "charts.classes.worst": "The {shown} classes of {classes} that are told worst",
    "charts.confusion.caption": "What items of each class were taken for",
    "charts.confusion.cell": "{label} taken for {predicted}: {share}",
    "charts.confusion.corner": "Label ↓ Prediction →",
    "charts.confusion.label": "Label",
    "charts.confusion.none": "No item was taken for another class.",
    "charts.confusion.pairs": "The {shown} most frequent confusions",
    "charts.confusion.part": "Of this label's items",
    "charts.confusion.predicted": "Taken for",
    "charts.f1": "F1",
    "charts.items": "Items",
    "charts.precision": "Precision",
    "charts.recall": "Recall",
    "charts.reliability.after": "As served",
    "charts.reliability.after_accuracy": "Right, as served",
    "charts.reliability.after_confidence": "Mean score, as served",
    "charts.reliability.after_items": "Items, as served",
    "charts.reliability.axis": "Score",
    "charts.reliability.before": "Before calibration",
    "charts.reliability.before_accuracy": "Right, before",
    "charts.reliability.before_confidence": "Mean score, before",
    "charts.reliability.before_items": "Items, before",
    "charts.reliability.caption": "Scores and how often they were right",
    "charts.reliability.described": (
        "Share of right predictions by score, over {items} items. On the diagonal, scores mean what they say; "
        "the mean distance from it is {ece}."
    ),
    "charts.reliability.error": "Calibration error {ece}",
    "charts.score": "Score",
    "charts.split.test": "Test",
    "charts.split.train": "Training",
    "charts.split.validation": "Validation",
    "charts.support": "Items",
    # Models
    "models.accuracy": "Accuracy",
    "models.actions": "Actions",
    "models.aliases": "Aliases",
    "models.aliases.any_question": "Set this alias to version {version}? Another version that has it loses it.",
    "models.aliases.form": "Up to 64 of a-z, 0-9, - and _; not “latest”, which is always the newest version.",
    "models.aliases.move_question": (
        "Point “{alias}” to version {version}? It means version {now} now, and clients that ask for it get "
        "version {version} from the next request on."
    ),
    "models.aliases.moved": "“{alias}” means version {version} now.",
    "models.aliases.of_this": "Aliases of this version",
    "models.aliases.other": "Alias",
    "models.aliases.placeholder": "e.g. staging",
    "models.aliases.promote": "Promote to production",
    "models.aliases.remove": "Remove {alias}",
    "models.aliases.remove_question": (
        "Remove “{alias}”? Clients that ask for {name}@{alias} are refused from then on."
    ),
    "models.aliases.removed": "“{alias}” was removed.",
    "models.aliases.roll_back": "Roll {alias} back to v{version}",
    "models.aliases.roll_on": "Move {alias} on to v{version}",
    "models.aliases.set": "Set alias",
    "models.aliases.set_question": "Let “{alias}” mean version {version}?",
    "models.aliases.text": (
        "An alias is a name that moves between versions: clients ask for {name}@production and need not change. "
        "“latest” is always the newest version."
    ),
    "models.backbone": "Backbone",
    "models.badge.frozen": "Backbone unchanged",
    "models.badge.parity": "Serving checked",
    "models.bytes": "Size",
    "models.calibration.as_served": (
        "All logits are divided by a temperature of {temperature}, which was fitted on the validation items and "
        "judged here on others."
    ),
    "models.calibration.cross_fitted": (
        "All logits are divided by a temperature of {temperature}. As it was fitted on these very items, each "
        "half of them is judged here by the temperature that the other half gave."
    ),
    "models.calibration.unchanged": "The temperature is 1: scores are served as the model gives them.",
    "models.compare": "Compare jobs",
    "models.created": "Created",
    "models.dataset": "Data set",
    "models.decision": "Strategy",
    "models.delete.button": "Delete this version",
    "models.delete.question": (
        "Delete {name} v{version} with its aliases? This cannot be undone: from then on it does not predict."
    ),
    "models.delete.text": "The version goes with its aliases and its report. Its job and its data set stay.",
    "models.delete.title": "Delete",
    "models.deleted": "was deleted",
    "models.details": "Settings and library versions",
    "models.download_ckpt": "Lightning checkpoint",
    "models.download_zip": "Download (zip)",
    "models.empty_button": "Start a job",
    "models.empty_text": (
        "A model is what a fine-tuning ends with. Upload a data set, start a job, and it appears here."
    ),
    "models.empty_title": "No models yet",
    "models.end_text": "You have seen all models.",
    "models.end_title": "That was all",
    "models.engine.openvino": "OpenVINO",
    "models.engine.torch": "PyTorch",
    "models.evaluate.button": "Evaluate",
    "models.evaluate.none": "There is no data set of this kind. Upload one whose labels the model knows.",
    "models.evaluate.text": (
        "Measures the model on a labelled set that it has not seen. The set’s labels must be among the model’s."
    ),
    "models.evaluate.title": "Evaluate on another data set",
    "models.find": "Exact name",
    "models.find_button": "Find",
    "models.id": "Id",
    "models.job": "Job",
    "models.labels": "Labels",
    "models.made.title": "How it was made",
    "models.name": "Name",
    "models.no_report_text": "This model was made without one. Evaluate it on a data set to see how good it is.",
    "models.no_report_title": "No report",
    "models.none_of_name": "No model of this name",
    "models.none_of_name_text": "Names are matched letter by letter. See all models.",
    "models.of_name": "Versions of {name}",
    "models.owner": "Owner",
    "models.parity.bf16_failed": (
        "In bfloat16, {labels} of {items} labels changed and probabilities moved by up to {moved}: it is served "
        "in float32."
    ),
    "models.parity.bf16_passed": (
        "In bfloat16, {labels} of {items} labels changed and probabilities moved by at most {moved}: it may be "
        "served so."
    ),
    "models.parity.checked": (
        "Before it was published, {items} validation items went through the stored files and the serving path "
        "({engine}). The largest difference from what training had computed was {difference}; up to 1e-4 is "
        "allowed."
    ),
    "models.parity.none": "It has no certificate with figures.",
    "models.parity.reused": (
        "What comes before the head had been computed for an earlier model on the same backbone and data, and "
        "was taken from there."
    ),
    "models.parity.title": "What is served is what was trained",
    "models.preprocessing.border": (
        "The whole picture is made to fit into {to} pixels ({interpolation}); the rest is filled."
    ),
    "models.preprocessing.center": (
        "The picture is resized so that its shorter side has {to} pixels ({interpolation})."
    ),
    "models.preprocessing.crop": "{size} pixels from its middle are what the model sees.",
    "models.preprocessing.cut_left": "Longer texts lose their beginning.",
    "models.preprocessing.cut_right": "Longer texts lose their end.",
    "models.preprocessing.normalise": "Colours are scaled to a mean of {mean} and a deviation of {std}.",
    "models.preprocessing.squash": (
        "The picture is squeezed to {to} pixels ({interpolation}), whatever its proportions."
    ),
    "models.preprocessing.title": "What is done to an input first",
    "models.preprocessing.tokens": "A text is cut into tokens, of which the model reads {tokens} at most.",
    "models.proof.changed": (
        "The backbone was trained as well: its weights are no longer those that it started from, and are stored "
        "with this model."
    ),
    "models.proof.none": "Nothing was recorded.",
    "models.proof.title": "What became of the backbone",
    "models.proof.unchanged": (
        "Not one weight of the backbone changed: the hash of its tensors after the training is the one from "
        "before it. Models with the same backbone share it on disk and in memory."
    ),
    "models.proofs.title": "What was proved",
    "models.report_json": "Report (JSON)",
    "models.table": "Models, newest first",
    "models.task": "Task",
    "models.task.image-classification": "Images",
    "models.task.text-classification": "Texts",
    "models.text": "What your jobs have made, newest first.",
    "models.title": "Models",
    "models.try": "Try a prediction",
    "models.use.command": "Command line",
    "models.use.text": (
        "Put your own key in the place of the placeholder. Keys do not belong into code or version control."
    ),
    "models.use.title": "Use it",
    "models.versions.all": "All versions",
    "models.versions.this": "this one",
    "models.versions.title": "Aliases and versions",
    "models.versions.version": "Version",
    "models.weights": "Pretrained weights",
    "models.weights.random": "none (random)",
    # Reports
    "report.accuracy": "Accuracy",
    "report.calibration": "Do scores mean what they say?",
    "report.calibration_text": (
        "Of all predictions with a score of 90%, nine in ten should be right. Bars show how many were; a line "
        "from a bar to the diagonal is the gap; faint bars stand for few items."
    ),
    "report.classes": "Which classes are told apart",
    "report.classes_text": (
        "Precision: right among those that were said to be of the class. Recall: found among those that are of "
        "it. F1: both in one figure."
    ),
    "report.confusions": "What is taken for what",
    "report.ece": "Calibration error",
    "report.items": "Items",
    "report.labelled": "Label:",
    "report.loss": "Loss",
    "report.macro_f1": "Mean F1",
    "report.mistakes": "Most confident mistakes",
    "report.mistakes_gone": "They went with the data set, which was deleted.",
    "report.mistakes_text": (
        "The model is sure, and the label says otherwise: one of the two is wrong. Look whether it is the label."
    ),
    "report.more_mistakes": "{count} more",
    "report.no_mistakes": "Every item was told right.",
    "report.predicted": "Prediction:",
    "report.title.all": "On all items",
    "report.title.test": "On the test items",
    "report.title.train": "On the training items",
    "report.title.validation": "On the validation items",
    # Predictions
    "predict.answer": "What the model says",
    "predict.button": "Predict",
    "predict.choose": "Choose",
    "predict.drop": "Drop a picture here, or choose one",
    "predict.labels": "{count} labels: {labels}",
    "predict.model": "Model",
    "predict.more_classes": "{count} further classes have lower scores.",
    "predict.page_text": "Ask a model about a picture or a text of your own. Nothing of it is stored.",
    "predict.placeholder": "Type or paste a text",
    "predict.scores": "Scores of the classes, best first",
    "predict.text": "Text",
    "predict.title": "Try a prediction",
    "predict.to_model": "About this model",
    "predict.told.alpha_dropped": "Transparent parts were laid on white.",
    "predict.told.exif_applied": "The picture was turned upright, as its EXIF data ask.",
    "predict.told.far": (
        "Unlike the training data: {share} of the validation items are closer to it. Do not rely on the score."
    ),
    "predict.told.near": "Like the training data: {share} of the validation items are closer to it.",
    "predict.told.size": "{size} pixels.",
    "predict.told.tokens": "{tokens} tokens.",
    "predict.told.truncated": "The text is longer than the model reads: only {tokens} tokens of it counted.",
    "predict.told.upscaled": (
        "The picture ({size} pixels) is smaller than what the model looks at, and was enlarged: fine detail is missing."
    ),
    "predict.waiting": "The answer appears here.",
}
