# A thin layer over tools/: on Windows call the same lines by hand, `python tools/bootstrap.py lab`.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11 python,$(shell command -v $(name) 2>/dev/null)))
FOUND_PYTHON = $(if $(PYTHON),$(PYTHON),$(error no Python found: install one of Python 3.11 to 3.14))
BOOTSTRAP = $(FOUND_PYTHON) tools/bootstrap.py

# CHECK=yes also looks at every slide or page in Chromium.
# TORCH=cu130 chooses a GPU build of torch; NAMES="02 03" runs only some notebooks; STEPS="lint" only some steps.
export TORCH

.PHONY: help lab update models test browser explore bench notebooks pages slides site exam mutants lock

help:
	@echo "make lab        open the course in JupyterLab (the first call sets everything up)"
	@echo "make update     bring a newer version; what you saved is kept, in its place or in the folder mine"
	@echo "make models     fetch a published BERT for use without a network; NAMES=google-bert/bert-base-uncased for another"
	@echo "make test       lint, unit tests, structure tests, every notebook run strictly without a network, and in JupyterLab"
	@echo "make browser    of these only the last: every notebook in a real JupyterLab, every control moved (needs Chromium)"
	@echo "make explore    the property tests on ten rounds of new random examples (long); make test tries the same ones each time"
	@echo "make bench      measure the goals side by side with other libraries; NAMES=\"P1 P2\" for some of them"
	@echo "make notebooks  execute and normalise the notebooks in place; NAMES=\"02 03\" for some of them"
	@echo "make pages      draw the diagrams of img/ and write GLOSSARY.md anew"
	@echo "make slides     make the lecture, decks to show without a network; CHECK=yes looks at every slide"
	@echo "make site       make the reading site; CHECK=yes follows every link and looks at every page"
	@echo "make exam       draw an exam and its key from the bank, as pages to print; SEED=7 for another, QUESTIONS=12 for fewer"
	@echo "make mutants    break one constant at a time and see that a test turns red (long)"
	@echo "make lock       pin the versions installed in .venv in the requirement files, with digests"

lab:
	@$(BOOTSTRAP) lab

update:
	@$(FOUND_PYTHON) tools/update.py

models:
	@$(BOOTSTRAP) run -m course_utils.checkpoints $(NAMES)

test:
	@$(BOOTSTRAP) run -m tools.check $(STEPS)

explore:
	@$(BOOTSTRAP) run -m tools.check $(foreach round,1 2 3 4 5 6 7 8 9 10,explore)

bench:
	@$(BOOTSTRAP) bench $(NAMES)

notebooks:
	@$(BOOTSTRAP) run -m tools.notebooks $(NAMES)

pages:
	@$(BOOTSTRAP) run img/build.py
	@$(BOOTSTRAP) run -m tools.glossary
	@$(BOOTSTRAP) run -m tools.minutes
	@$(BOOTSTRAP) run -m tools.ledger
	@$(BOOTSTRAP) run -m tools.misconceptions

browser:
	@$(BOOTSTRAP) run -m tools.check browser

slides:
	@$(BOOTSTRAP) run -m tools.slides $(NAMES) $(if $(CHECK),--check)

site:
	@$(BOOTSTRAP) site $(if $(CHECK),--check)

exam:
	@$(BOOTSTRAP) run -m tools.exam $(if $(SEED),--seed $(SEED)) $(if $(QUESTIONS),--questions $(QUESTIONS))

mutants:
	@$(BOOTSTRAP) run -m tools.mutants $(NAMES)

lock:
	@$(BOOTSTRAP) run -m tools.lock
