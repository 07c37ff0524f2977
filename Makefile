# Every target makes the environment it needs: `make demo` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
TEST_ARGS ?= -n 2 --dist worksteal
OUT ?= out/demo
DATAROOT ?=

DEMO_DEPS := $(VENV)/.stamp-demo
DEV_DEPS := $(VENV)/.stamp-dev
DOCS_DEPS := $(VENV)/.stamp-docs

.PHONY: help demo docs pyright env test smoke lint format types stubs compat libraries peers bench wheel clean

help:
	@echo "make demo              train a DCGAN on handwritten digits, write a picture of what it drew"
	@echo "make demo DATAROOT=D   the same on the horses of the CIFAR-10 python batches in folder D"
	@echo "make test              run the test suite (TEST_ARGS='-k name' for a part of it)"
	@echo "make lint types        ruff, mypy        make format   let ruff rewrite the files"
	@echo "make stubs             type stubs, from the registry"
	@echo "make compat            PyTorch's OpInfo database through both, compat_matrix.md"
	@echo "make libraries         other people's wheels on torchish and on PyTorch"
	@echo "make cpu               build and install torchish-cpu (oneDNN, calls in C; needs a C++17 compiler)"
	@echo "make pyright           the typing snippets through pyright's engine (mypy's run in make test)"
	@echo "make docs              the manual, into out/site"
	@echo "make peers             torchax, torch_xla and tinygrad beside PyTorch and torchish"
	@echo "make bench             print speed ratios against PyTorch and hand-written JAX"

$(PY):
	$(PYTHON) -m venv $(VENV)

$(DEMO_DEPS): pyproject.toml | $(PY)
	$(PY) -m pip install --quiet --no-compile --disable-pip-version-check -e '.[demo]'
	@touch $@

$(DEV_DEPS): pyproject.toml | $(PY)
	$(PY) -m pip install --quiet --no-compile --disable-pip-version-check -e '.[test,dev]'
	@touch $@ $(DEMO_DEPS)

$(DOCS_DEPS): pyproject.toml | $(PY)
	$(PY) -m pip install --quiet --no-compile --disable-pip-version-check -e '.[docs]'
	@touch $@

env: $(DEV_DEPS)

# Small enough for about two minutes on two cores, compilation included.
DIGITS := --dataset digits --imageSize 32 --ngf 24 --ndf 16 --niter 10 --lr 0.0015 --manualSeed 1

demo: $(DEMO_DEPS)
ifeq ($(DATAROOT),)
	$(PY) -m torchish examples/dcgan.py $(DIGITS) --progress --outf $(OUT)
else
	$(PY) -m torchish examples/cifar10_horses.py --dataroot $(DATAROOT) --outf $(OUT)
endif

test: $(DEV_DEPS)
	$(PY) -m pytest $(TEST_ARGS)

smoke: $(DEV_DEPS)
	$(PY) -m pytest -q -m smoke

lint: $(DEV_DEPS)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(DEV_DEPS)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: $(DEV_DEPS)
	$(PY) -m mypy

# What is generated from the registry: type stubs, and the rules that torchish-cpu has compiled in.
stubs: $(DEV_DEPS)
	$(PY) tools/stubs.py
	$(PY) tools/update_rules.py

# All of PyTorch's OpInfo entries through both libraries: every sample of float32 and int64, some of
# each of the other dtypes. About 40 minutes on two cores.
OPINFO := $(PY) -W ignore -m tests.compat.opinfo.runner
compat: $(DEV_DEPS)
	mkdir -p out
	pids=; for k in 1 2; do ( \
		$(OPINFO) --shard $$k/2 --dtypes float32,int64 --all-samples --output out/all-$$k.jsonl && \
		$(OPINFO) --shard $$k/2 --no-errors --output out/some-$$k.jsonl \
			--dtypes float64,bool,float16,bfloat16,complex64 \
	) & pids="$$pids $$!"; done; for p in $$pids; do wait $$p || exit 1; done
	$(PY) -m tests.compat.opinfo.results out/all-1.jsonl out/all-2.jsonl \
		out/some-1.jsonl out/some-2.jsonl
	$(PY) tools/compat_matrix.py
	$(PY) -m pytest -q tests/compat/opinfo/test_results.py
	$(PY) -m pytest -q -m compat

# Wheels of other people, without what they depend on: a folder of their own, not the environment.
LIBRARIES := out/libraries
libraries: $(DEV_DEPS)
	$(PY) -m pip install --quiet --no-compile --no-deps --upgrade --target $(LIBRARIES) \
		einops torch_geometric xxhash aiohttp multidict yarl frozenlist aiosignal attrs propcache \
		aiohappyeyeballs requests urllib3 charset_normalizer idna certifi psutil \
		transformers huggingface_hub tokenizers safetensors regex hf-xet httpx httpx2 httpcore httpcore2 \
		truststore anyio h11 fsspec filelock packaging pyyaml tqdm typer click shellingham rich \
		markdown-it-py mdurl pygments annotated-doc importlib_metadata zipp typing_extensions \
		peft accelerate diffusers lightning pytorch_lightning lightning_utilities torchmetrics \
		stable-baselines3 gymnasium cloudpickle farama-notifications pandas matplotlib pillow \
		open_clip_torch ftfy wcwidth timm monai opacus e3nn opt_einsum opt_einsum_fx sympy mpmath \
		orbax-checkpoint tensorstore etils humanize simplejson aiofiles nest-asyncio2 uvloop prometheus_client \
		flax equinox dm-haiku jaxtyping wadler-lindig jmp tabulate msgpack treescope \
		botorch gpytorch linear_operator multipledispatch pyre_extensions \
		typing_inspect mypy_extensions pyro-ppl pyro-api threadpoolctl scikit-learn joblib \
		pytorch-tabnet fastai fastcore 'fastprogress<1.1' fasttransform fastdownload plum-dispatch \
		beartype deepxde scikit-optimize pyaml pytorch_forecasting scikit-base \
		torchdiffeq torchsde trampoline x-transformers torch-einops-utils einx frozendict loguru \
		vit-pytorch captum entmax pytorch-msssim torchinfo torchsummary torch-optimizer \
		pytorch-ranger lion-pytorch madgrad prodigyopt schedulefree ema-pytorch torch-ema \
		pytorch-crf pytorch-ignite skorch kornia kornia-rs zuko pytorch-metric-learning \
		vector-quantize-pytorch nflows umnn higher sentence-transformers lpips \
		backpack-for-pytorch unfoldNd \
		torchattacks foolbox eagerpy GitPython gitdb smmap geoopt blitz-bayesian-pytorch \
		denoising-diffusion-pytorch performer-pytorch local-attention hyper-connections \
		linear-attention-transformer axial-positional-embedding product-key-memory linformer \
		colt5-attention rotary-embedding-torch neuraloperator tensorly tensorly-torch snntorch torchjd \
		lightly lightly-utils geomloss ncps torchcde ptwt pywavelets loralib pytorch-warmup \
		segmentation-models-pytorch
	TORCHISH_LIBRARIES=$(abspath $(LIBRARIES)) $(PY) -m pytest -q tests/libraries \
		tests/func/test_jax_models.py tests/utils/test_orbax.py

# Other libraries of the kind, each in a folder of its own, with the PyTorch that it goes with (7 GB).
# tinygrad's CPU needs clang.
PEERS := out/peers
PEER := $(PY) -m pip install --quiet --no-compile --upgrade --target $(PEERS)
peers: $(DEV_DEPS)
	$(PEER)/tinygrad --no-deps tinygrad
	$(PEER)/torchax --no-deps torchax
	$(PEER)/torch_xla --no-deps torch_xla
	$(PEER)/torch_xla absl-py pyyaml requests
	$(PEER)/torch-2.9 torch==2.9.0
	TORCHISH_PEERS=$(abspath $(PEERS)) $(PY) -m benchmarks peers

# Strict: a warning is an error. The theme's notice about its successor is none of ours.
docs: $(DOCS_DEPS)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet

# basedpyright brings its own node, 300 MB of it: not part of the environment.
pyright: $(DEV_DEPS)
	$(PY) -m pip install --quiet --no-compile --disable-pip-version-check basedpyright
	$(PY) -m pytest -q tests/typing_suite -k pyright

bench: $(DEV_DEPS)
	$(PY) -m benchmarks $(BENCH)

wheel: $(DEV_DEPS)
	rm -rf dist
	$(PY) -m build --wheel

# The optional wheel with oneDNN and the call path in C; `make test` then tests it too.
cpu: $(DEV_DEPS)
	rm -f dist/torchish_cpu-*.whl
	$(PY) -m pip wheel --quiet --no-deps --disable-pip-version-check -w dist ./native
	$(PY) -m pip install --quiet --no-compile --force-reinstall --disable-pip-version-check \
		dist/torchish_cpu-*.whl

clean:
	rm -rf $(VENV) .venv-wheel build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis
