"""report.md, report.html and the training curves: a run in one page."""

from callbacks import figures
from experiments.experiment import Experiment
from experiments.report_content import gather
from experiments.report_html import as_html
from experiments.report_markdown import as_markdown
from experiments.run_folder import RunFolder, write_text
from experiments.tracking import read_history

HTML_NAME = "report.html"


def write_report(experiment: Experiment, folder: RunFolder) -> None:
    """Draw the training curves, and write `report.md` and `report.html` from what the run folder holds."""
    histories = {}
    for stage in experiment.stages:
        path = folder.stage(stage.name) / "history.jsonl"
        if stage.fits and path.exists():
            histories[stage.name] = read_history(path)
    if histories:
        figures.save(figures.training_curves(histories), folder.figures / "training_curves.png", folder.root.name)
    content = gather(experiment, folder)
    write_text(folder.report, as_markdown(content))
    write_text(folder.root / HTML_NAME, as_html(content))
