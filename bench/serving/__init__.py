"""``POST /predict`` beside LitServe, BentoML and plain FastAPI, each under the same load in the same minutes."""
