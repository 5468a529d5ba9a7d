// A host hears nothing it did not ask for, and finds its settings as it left them.
#include <cfenv>
#include <clocale>
#include <locale>
#include <stdexcept>

#include "daguerre/ops/engine.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/guest.hpp"
#include "support/process.hpp"

#if DAGUERRE_TEST_HAS_FORK
#include <fcntl.h>
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

// There where the library is built with oneDNN, which brings OpenMP.
#if defined(__GNUC__) && defined(__ELF__)
extern "C" [[gnu::weak]] int omp_get_max_threads();
#endif

using namespace daguerre;
using namespace daguerre::test;
namespace fs = std::filesystem;

namespace {

/// What the host's own OpenMP regions would use.
int openmp_threads() {
#if defined(__GNUC__) && defined(__ELF__)
  return omp_get_max_threads == nullptr ? 0 : omp_get_max_threads();
#else
  return 0;
#endif
}

/// Keeps what it is told, by level.
struct Heard {
  std::vector<std::string> info, warnings;
  LogSink sink() {
    return [this](LogLevel level, std::string_view text) {
      (level == LogLevel::warning ? warnings : info).emplace_back(text);
    };
  }
};

/// The small model with a tensor that no layer knows.
fs::path model_with_stray_tensor(const TempFolder& folder) {
  const auto model = folder / "model";
  fs::copy(golden("pipelines/sd1"), model, fs::copy_options::recursive);
  const auto file = model / "unet/diffusion_pytorch_model.safetensors";
  weights::SafetensorsWriter writer;
  {
    const auto original = weights::SafetensorsFile::open(file);
    for (const auto& info : original.tensors())
      writer.add(info.name, original.read<float>(info.name).clone());
    writer.add("stray.weight", Tensor<float>::zeros({2, 2}));
  }
  writer.save(file);
  return model;
}

bool contains(const std::string& text, const std::vector<std::string>& parts) {
  for (const auto& part : parts)
    if (text.find(part) == std::string::npos) return false;
  return true;
}

/// A prompt that is cut off before `last`.
std::string too_long_with(const std::string& last) {
  std::string prompt(4000, 'x');
  prompt.append(" ").append(last);
  return prompt;
}

/// Decimal commas and grouped digits, in case no such locale is installed.
struct CommaNumbers : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\1"; }
};

}  // namespace

TEST_CASE("the log tells what was decided and what looks wrong", "[guest][log]") {
  const TempFolder folder;
  Heard heard;
  const auto pipe = Pipeline::load(
      model_with_stray_tensor(folder),
      {.precision = Precision::float32, .engine = "native", .threads = 1, .log = heard.sink()});
  REQUIRE(heard.info.size() == 4);  // the decisions, three networks
  CHECK(contains(heard.info[0], {"[pipeline]", "StableDiffusionPipeline", "engine native 0.", "precision f32",
                                 "threads 1"}));
  for (std::size_t i = 1; i < 4; ++i) CHECK(contains(heard.info[i], {"[weights]", " tensors"}));
  REQUIRE(heard.warnings.size() == 1);
  CHECK(contains(heard.warnings[0], {"[weights]", "unet", ": 1 of ", "stray.weight"}));

  heard = {};
  auto order = small_order();
  (void)pipe.generate(order);
  REQUIRE(heard.info.size() == 1);
  CHECK(contains(heard.info[0], {"[pipeline]", "24x16", "3 steps", "ddim", "seed 7"}));
  CHECK(heard.warnings.empty());

  order.negative_prompt = too_long_with("zebra");
  const auto made = pipe.generate(order);
  REQUIRE(heard.warnings.size() == 1);
  CHECK(contains(heard.warnings[0], {"[pipeline]", "negative prompt", "zebra"}));
  CHECK(made.warnings == heard.warnings);
}

TEST_CASE("each pipeline has a log of its own, and what a log throws reaches the host", "[guest][log]") {
  Heard first, second;
  const LoadOptions options{.precision = Precision::float32, .threads = 1};
  auto with = [&](LogSink sink) {
    auto own = options;
    own.log = std::move(sink);
    return Pipeline::load(golden("pipelines/sd1"), own);
  };
  const auto a = with(first.sink()), b = with(second.sink());
  first = second = {};
  (void)a.generate(small_order());
  CHECK(first.info.size() == 1);
  CHECK(second.info.empty());

  const auto refuse = [](LogLevel, std::string_view) { throw std::out_of_range("the host's own"); };
  CHECK_THROWS_AS(with(refuse), std::out_of_range);
}

TEST_CASE("the host's locale, arithmetic and OpenMP settings are left as they are", "[guest]") {
  const std::string locale = std::setlocale(LC_ALL, nullptr);
  std::fesetround(FE_TOWARDZERO);
#if defined(__x86_64__)
  const unsigned control = _mm_getcsr();
  constexpr unsigned flags = 0x3F;  // set by any arithmetic
  _mm_setcsr(control | 0x8040);     // denormals are zero, as audio programs have it
#endif
  const int threads = openmp_threads();
  const auto is_as_found = [&] {
    CHECK(std::fegetround() == FE_TOWARDZERO);
    CHECK(openmp_threads() == threads);
    CHECK(std::setlocale(LC_ALL, nullptr) == locale);
#if defined(__x86_64__)
    CHECK((_mm_getcsr() & ~flags) == ((control | 0x8040) & ~flags));
#endif
  };
  for (const auto& engine : ops::engine_names()) {
    const auto pipe = load_tiny(engine, 2);
    is_as_found();
    auto order = small_order();
    (void)pipe.generate(order);
    is_as_found();
    order.on_step = [](const Step&) { return false; };
    CHECK_THROWS_AS(pipe.generate(order), Cancelled);
    is_as_found();
  }
#if defined(__x86_64__)
  _mm_setcsr(control);
#endif
  std::fesetround(FE_TONEAREST);
}

TEST_CASE("the host's locale does not change what is read and written", "[guest]") {
  auto order = small_order();
  order.guidance_scale = 7.25f;
  const auto expected = load_tiny().generate(order);
  const std::string c_locale = std::setlocale(LC_ALL, nullptr);
  const auto cpp_locale = std::locale::global(std::locale(std::locale::classic(), new CommaNumbers));
  for (const auto* name : {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8"})
    if (std::setlocale(LC_ALL, name) != nullptr) break;  // where one is installed
  const auto made = load_tiny().generate(order);
  std::locale::global(cpp_locale);
  std::setlocale(LC_ALL, c_locale.c_str());
  CHECK(equal(made, expected));
  CHECK(contains(made.infotexts.at(0), {"CFG scale: 7.25", "Size: 24x16"}));
}

#if DAGUERRE_TEST_HAS_FORK
TEST_CASE("nothing is printed", "[guest]") {
  const TempFolder folder;
  const auto path = folder / "printed";
  const int status = in_child([&] {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(file, 1);
    ::dup2(file, 2);
    auto order = small_order();
    order.prompt = too_long_with("animal");  // worth a warning
    (void)load_tiny().generate(order);
    try {
      (void)Pipeline::load(folder.path());
    } catch (const Error&) {
      std::fflush(nullptr);
      return 0;
    }
    return 1;
  });
  CHECK(status == 0);
  CHECK(read_file(path).empty());
}
#endif
