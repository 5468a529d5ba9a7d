// Tokens a second of a language model at its real size with random weights, against the memory's bandwidth:
//
//     language_speed CONFIG [--type f32|bf16|q8_0|q4_k|…] [--precision f32|bf16] [--weights mapped|packed]
//                    [--engine NAME] [--threads N] [--prompt N] [--tokens N] [--profile]
//
// CONFIG is a config.json of transformers', such as those in tests/tools/models. Weights are stored in memory
// as a file has them, in the type that is asked for. The floor of a token is the time in which two passes
// over 1 GB, right before and right after, read as many bytes as the model multiplies by: its matrices as
// they are kept, the table of embeddings once where it is the last matrix, too. A token is measured behind a
// prompt of --prompt tokens, whose own speed is printed first; the least and the median of --tokens tokens
// count.

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <sys/resource.h>

#include <daguerre/config/config.hpp>
#include <daguerre/core/error.hpp>
#include <daguerre/models/language/causal_lm.hpp>
#include <daguerre/ops/profile.hpp>
#include <daguerre/weights/random_tensors.hpp>

namespace {

using namespace daguerre;
using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string config, engine = "auto";
  DType type = DType::bf16;
  bool in_bfloat16 = false, packed = false, profile = false;
  int threads = available_threads();
  Index prompt = 256;
  int tokens = 32;
};

DType type_called(const std::string& text) {
  for (const auto dtype : {DType::f32, DType::f16, DType::bf16, DType::q4_0, DType::q4_1, DType::q5_0,
                           DType::q5_1, DType::q8_0, DType::q4_k, DType::q5_k, DType::q6_k}) {
    const auto name = daguerre::name(dtype);
    if (std::equal(name.begin(), name.end(), text.begin(), text.end(),
                   [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); }))
      return dtype;
  }
  throw ArgumentError("language_speed", "there is no type \"" + text + "\"");
}

Arguments parsed(int argc, char** argv) {
  Arguments result;
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    const auto value = [&] {
      if (++i == argc) throw ArgumentError("language_speed", text + " needs a value");
      return std::string(argv[i]);
    };
    if (text == "--type")
      result.type = type_called(value());
    else if (text == "--precision")
      result.in_bfloat16 = value() == "bf16";
    else if (text == "--weights")
      result.packed = value() == "packed";
    else if (text == "--engine")
      result.engine = value();
    else if (text == "--threads")
      result.threads = std::stoi(value());
    else if (text == "--prompt")
      result.prompt = std::stol(value());
    else if (text == "--tokens")
      result.tokens = std::stoi(value());
    else if (text == "--profile")
      result.profile = true;
    else
      result.config = text;
  }
  if (result.config.empty() || result.prompt < 1 || result.tokens < 1)
    throw ArgumentError("language_speed", "expected CONFIG and numbers above 0");
  return result;
}

/// Random tensors that are made once and then stored.
class StoredTensors final : public weights::TensorFile {
 public:
  explicit StoredTensors(DType dtype) : random_(0, dtype), dtype_(dtype) {}
  const std::string& name() const noexcept override { return random_.name(); }
  std::span<const weights::TensorInfo> tensors() const noexcept override { return {}; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return random_.metadata(); }
  std::optional<weights::TensorInfo> supply(std::string_view name, const Shape& shape) const override {
    return random_.supply(name, shape);
  }
  ops::WeightSource weight(const weights::TensorInfo& info) const override {
    const std::lock_guard lock(mutex_);
    const auto found = stored_.find(info.name);
    if (found != stored_.end()) return found->second;
    auto source = random_.weight(info);
    if (info.shape.rank() == 2 && !is_block(source.dtype)) {
      const ops::Weight rows(source);
      source = dtype_ == DType::f32 ? stored<float>(rows) : stored<bfloat16>(rows);
    }
    return stored_.emplace(info.name, source).first->second;
  }
  /// Of all matrices.
  double bytes() const {
    double total = 0.0;
    for (const auto& [name, source] : stored_)
      if (source.shape.rank() == 2) total += static_cast<double>(source.bytes.size());
    return total;
  }
  double elements() const {
    double total = 0.0;
    for (const auto& [name, source] : stored_)
      if (source.shape.rank() == 2) total += static_cast<double>(source.shape.size());
    return total;
  }

 private:
  template <class T>
  static ops::WeightSource stored(const ops::Weight& rows) {
    Tensor<T> elements(rows.shape());
    rows.read(0, rows.rows(), elements.data());
    return ops::WeightSource::of(elements);
  }
  weights::RandomTensors random_;
  DType dtype_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, ops::WeightSource> stored_;
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Bytes a second that the threads read, of a gigabyte.
class Bandwidth {
 public:
  explicit Bandwidth(const Threads& threads) : threads_(threads), bytes_(std::size_t{1} << 30) {
    each_page([](std::uint64_t* page) { std::fill_n(page, words, 1); });
    (void)measure();
  }
  double measure() {
    const auto begin = Clock::now();
    std::atomic<std::uint64_t> total{0};
    each_page([&](const std::uint64_t* page) {
      std::uint64_t sums[16] = {};
      for (std::size_t i = 0; i < words; i += 16)
        for (std::size_t j = 0; j < 16; ++j) sums[j] += page[i + j];
      std::uint64_t sum = 0;
      for (const auto each : sums) sum += each;
      total.fetch_add(sum, std::memory_order_relaxed);
    });
    if (total != bytes_ / sizeof(std::uint64_t)) throw NumericError("language_speed", "memory has changed");
    return static_cast<double>(bytes_) / seconds_since(begin);
  }

 private:
  static constexpr std::size_t words = 65536;
  template <class F>
  void each_page(const F& run) {
    const auto pages = static_cast<Index>(bytes_ / sizeof(std::uint64_t) / words);
    parallel_for(threads_, pages, 4, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) run(memory_.get() + static_cast<std::size_t>(i) * words);
    });
  }
  Threads threads_;
  std::size_t bytes_;
  std::unique_ptr<std::uint64_t[]> memory_{new std::uint64_t[bytes_ / sizeof(std::uint64_t)]};
};

template <class T>
void measure(const Arguments& arguments) {
  ops::Context context;
  context.engine = ops::make_engine(arguments.engine);
  context.threads = Threads(arguments.threads);
  if (arguments.profile) context.profile = std::make_shared<ops::Profile>();
  auto loading = context;
  loading.placement = arguments.packed ? ops::WeightPlacement::packed : ops::WeightPlacement::mapped;
  const auto config = models::LanguageConfig::from(Config::load(arguments.config));
  const auto file = std::make_shared<const StoredTensors>(arguments.type);
  const models::CausalLm<T> model(config,
                                  {weights::Scope(weights::StateDict({file}, file->name())), loading});
  const double bytes = arguments.packed ? file->elements() * static_cast<double>(sizeof(T)) : file->bytes();

  models::KeyValueCache<T> cache(config, arguments.prompt + arguments.tokens + 1);
  const auto read = [&](Index count) {
    models::CausalLmInputs<T> inputs;
    inputs.input_ids = Tensor<std::int32_t>({1, count});
    for (Index i = 0; i < count; ++i)
      inputs.input_ids.data()[i] = static_cast<std::int32_t>((7 * i + 1) % config.vocab_size);
    inputs.cache = &cache;
    inputs.logits = models::CausalLmInputs<T>::Logits::last;
    const ops::Profile::Span span(context, ops::Stage::step);
    const auto begin = Clock::now();
    (void)model(context, inputs);
    return seconds_since(begin);
  };
  (void)read(arguments.prompt);  // makes primitives, finds memory
  cache.clear();
  const double prompt = read(arguments.prompt);
  (void)read(1);
  if (context.profile) context.profile->clear();
  Bandwidth bandwidth(context.threads);
  double fastest = bandwidth.measure();
  std::vector<double> times;
  for (int i = 0; i < arguments.tokens; ++i) times.push_back(read(1));
  fastest = std::max({fastest, bandwidth.measure(), bandwidth.measure()});
  std::sort(times.begin(), times.end());
  const double floor = bytes / fastest, median = times[times.size() / 2];
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%s, weights %s %s, multiplied in %s, engine %s, %d threads\n", config.model_type.c_str(),
              std::string(name(arguments.type)).c_str(), arguments.packed ? "packed" : "mapped",
              sizeof(T) == 4 ? "f32" : "bf16", std::string(context.engine->name()).c_str(),
              context.threads.count());
  std::printf("  prompt of %ld tokens: %.1f tokens/s\n", static_cast<long>(arguments.prompt),
              static_cast<double>(arguments.prompt) / prompt);
  std::printf("  bandwidth %.2f GB/s, %.0f MB a token, floor %.2f ms\n", fastest * 1e-9, bytes * 1e-6,
              floor * 1e3);
  std::printf("  token: median %.2f ms, least %.2f ms: %.1f tokens/s, %.2f and %.2f x the floor\n",
              median * 1e3, times.front() * 1e3, 1.0 / median, median / floor, times.front() / floor);
  std::printf("  peak memory %.2f GB, of which 1.07 GB to measure bandwidth\n",
              static_cast<double>(usage.ru_maxrss) * 1024e-9);
  if (arguments.profile)
    for (const auto kind : ops::op_kinds) {
      const auto of = context.profile->operations(ops::Stage::step, kind);
      if (of.calls > 0)
        std::printf("    %-12s %8.3f ms a token, %ld calls\n", std::string(name(kind)).c_str(),
                    of.seconds * 1e3 / arguments.tokens, static_cast<long>(of.calls) / arguments.tokens);
    }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto arguments = parsed(argc, argv);
    if (arguments.in_bfloat16)
      measure<bfloat16>(arguments);
    else
      measure<float>(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
