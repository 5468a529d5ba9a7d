// What a host program may count on.
#include <atomic>
#include <cfenv>
#include <chrono>
#include <clocale>
#include <cmath>
#include <cstdio>
#include <limits>
#include <new>
#include <stdexcept>
#include <thread>

#include "daguerre/metrics/psnr.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/tensor/parallel.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/process.hpp"

#if __has_include(<sys/resource.h>)
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#define DAGUERRE_TEST_HAS_FORK 1
#endif
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace daguerre;
using namespace daguerre::test;
namespace fs = std::filesystem;

namespace {

Pipeline load_tiny(const std::string& engine = "auto", int threads = 1) {
  return Pipeline::load(golden("pipelines/sd1"),
                        {.precision = Precision::float32, .engine = engine, .threads = threads});
}

GenerateOptions small_order() {
  GenerateOptions options;
  options.prompt = "a cat on a red carpet";
  options.width = 24;
  options.height = 16;
  options.steps = 3;
  options.seed = 7;
  options.sampler = "ddim";
  return options;
}

bool equal(const Generated& a, const Generated& b) {
  const auto same = [](const Tensor<float>& x, const Tensor<float>& y) {
    return x.shape() == y.shape() && std::equal(x.data(), x.data() + x.size(), y.data());
  };
  return same(a.latents, b.latents) && same(a.decoded, b.decoded) && a.infotexts == b.infotexts;
}

}  // namespace

TEST_CASE("a run can be stopped at every step, and the next one is as the first", "[guest][cancel]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    const auto pipe = load_tiny(engine);
    const auto whole = pipe.generate(small_order());
    for (const Index last : {0, 1, 2}) {
      auto order = small_order();
      order.on_step = [&](const Step& step) { return step.index < last; };
      CHECK_THROWS_AS(pipe.generate(order), Cancelled);
      CHECK(equal(pipe.generate(small_order()), whole));

      // Asked for within the last step, the stop is seen inside the decoder at the latest.
      std::stop_source source;
      order.stop = source.get_token();
      order.on_step = [&](const Step& step) {
        if (step.index == last) source.request_stop();
        return true;
      };
      CHECK_THROWS_AS(pipe.generate(order), Cancelled);

      order.stop = {};
      order.on_step = [&](const Step& step) -> bool {
        if (step.index == last) throw std::out_of_range("the host's own");
        return true;
      };
      CHECK_THROWS_AS(pipe.generate(order), std::out_of_range);
    }
    std::stop_source before;
    before.request_stop();
    auto order = small_order();
    order.stop = before.get_token();
    CHECK_THROWS_AS(pipe.generate(order), Cancelled);
    CHECK(equal(pipe.generate(small_order()), whole));
  }
}

TEST_CASE("a stop from another thread is seen inside the decoder", "[guest][cancel]") {
  const auto pipe = load_tiny();
  auto order = small_order();
  order.steps = 1;
  order.width = order.height = 128;  // the decoder takes most of the time
  order.guidance_scale = 1.0f;
  using Clock = std::chrono::steady_clock;
  std::atomic<Clock::duration::rep> last_step = 0;
  order.on_step = [&](const Step&) {
    last_step = Clock::now().time_since_epoch().count();
    return true;
  };
  (void)pipe.generate(order);
  const auto decoding = Clock::now().time_since_epoch() - Clock::duration(last_step);

  std::stop_source source;
  order.stop = source.get_token();
  std::atomic<bool> decodes = false;
  order.on_step = [&](const Step&) {
    decodes = true;
    return true;
  };
  Clock::time_point asked;
  std::jthread stopper([&](const std::stop_token& test_ended) {
    while (!decodes && !test_ended.stop_requested()) std::this_thread::yield();
    std::this_thread::sleep_for(decoding / 10);
    asked = Clock::now();
    source.request_stop();
  });
  CHECK_THROWS_AS(pipe.generate(order), Cancelled);
  const auto returned = Clock::now();
  stopper.join();
  // Within one group of layers; the last ones take about a third of the decoder.
  CHECK((returned - asked) < 0.7 * decoding + std::chrono::milliseconds(50));
}

TEST_CASE("eight threads on one pipeline make what one makes after another", "[guest][threads]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    const auto pipe = load_tiny(engine);
    constexpr std::size_t count = 8;
    const auto order = [](std::size_t i) {
      auto options = small_order();
      options.seed = 100 + i;
      options.prompt = "picture number " + std::to_string(i);
      options.sampler = i % 2 == 0 ? "ddim" : "euler-a";
      options.steps = 2 + static_cast<int>(i % 3);
      return options;
    };
    std::vector<Generated> serial(count), parallel(count);
    for (std::size_t i = 0; i < count; ++i) serial[i] = pipe.generate(order(i));
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < count; ++i)
        threads.emplace_back([&, i] { parallel[i] = pipe.generate(order(i)); });
    }
    for (std::size_t i = 0; i < count; ++i) CHECK(equal(serial[i], parallel[i]));
  }
}

TEST_CASE("the number of threads does not change the picture", "[guest][threads]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    auto order = small_order();
    order.width = order.height = 32;
    order.steps = 1;
    const auto expected = load_tiny(engine, 1).generate(order);
    for (const int threads : {2, 3}) {
      INFO(threads << " threads");
      CHECK(equal(load_tiny(engine, threads).generate(order), expected));
    }
  }
}

TEST_CASE("the engines' pictures agree to 60 dB", "[guest]") {
  std::vector<Tensor<float>> pictures;
  for (const auto& engine : ops::engine_names()) {
    auto order = small_order();
    order.width = order.height = 64;
    pictures.push_back(denormalise(load_tiny(engine).generate(order).decoded));
  }
  for (const auto& picture : pictures) CHECK(metrics::psnr(picture, pictures.front()).front() >= 60.0);
}

TEST_CASE("a batch of four is four single pictures", "[guest]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    const auto pipe = load_tiny(engine);
    auto order = small_order();
    order.count = 4;
    const auto batch = pipe.generate(order);
    order.count = 1;
    for (Index n = 0; n < 4; ++n) {
      const auto single = pipe.generate(order);
      // Another batch size may split oneDNN's sums differently; the loop carries that from step to step.
      CHECK(difference(batch.latents.slice(n, n + 1), single.latents).rel_l2 < 1e-5);
      CHECK(metrics::psnr(denormalise(batch.decoded.slice(n, n + 1)), denormalise(single.decoded)).front() >=
            60.0);
      ++order.seed;
    }
  }
}

TEST_CASE("fifty pictures take no more memory than ten", "[guest][memory]") {
  const auto pipe = load_tiny();
  double after_ten = 0;
  for (int i = 0; i < 60; ++i) {
    if (i == 10) after_ten = resident_megabytes();
    auto order = small_order();
    order.seed = static_cast<std::uint64_t>(i);
    order.prompt = "picture number " + std::to_string(i);
    (void)pipe.generate(order);
  }
  CHECK(resident_megabytes() < after_ten + 4);
}

TEST_CASE("numbers that are not finite name the network they come from", "[guest]") {
  struct Spoiled {
    const char* component;
    const char* file;
    const char* tensor;
  };
  for (const auto& spoiled :
       {Spoiled{"unet", "diffusion_pytorch_model.safetensors", "conv_out.bias"},
        Spoiled{"vae", "diffusion_pytorch_model.safetensors", "decoder.conv_in.weight"},
        Spoiled{"text_encoder", "model.safetensors", "text_model.final_layer_norm.weight"}})
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      INFO(spoiled.component << " " << value);
      const TempFolder folder;
      const auto model = folder.path() / "model";
      fs::copy(golden("pipelines/sd1"), model, fs::copy_options::recursive);
      const auto file = model / spoiled.component / spoiled.file;
      weights::SafetensorsWriter writer;
      {
        const auto original = weights::SafetensorsFile::open(file);
        for (const auto& info : original.tensors()) {
          auto tensor = original.read<float>(info.name);
          if (info.name == spoiled.tensor) tensor.data()[0] = value;
          writer.add(info.name, tensor);
        }
      }
      writer.save(file);
      expect_error<NumericError>(
          [&] {
            (void)Pipeline::load(model, {.precision = Precision::float32, .threads = 1})
                .generate(small_order());
          },
          {"[" + std::string(spoiled.component) + "]", spoiled.tensor});
    }
}

TEST_CASE("the host's locale, arithmetic and OpenMP settings are left as they are", "[guest]") {
  const std::string locale = std::setlocale(LC_ALL, nullptr);
  std::fesetround(FE_TOWARDZERO);
#if defined(__x86_64__)
  const unsigned control = _mm_getcsr();
  constexpr unsigned flags = 0x3F;  // set by any arithmetic
  _mm_setcsr(control | 0x8040);     // denormals are zero, as audio programs have it
#endif
  const int threads = current_thread_limit();
  for (const auto& engine : ops::engine_names()) {
    (void)load_tiny(engine, 2).generate(small_order());
    CHECK(std::fegetround() == FE_TOWARDZERO);
    CHECK(current_thread_limit() == threads);
    CHECK(std::setlocale(LC_ALL, nullptr) == locale);
#if defined(__x86_64__)
    CHECK((_mm_getcsr() & ~flags) == ((control | 0x8040) & ~flags));
#endif
  }
#if defined(__x86_64__)
  _mm_setcsr(control);
#endif
  std::fesetround(FE_TONEAREST);
}

#if DAGUERRE_TEST_HAS_FORK
namespace {

/// Runs `action` in a process of its own; its exit status, or 1000 plus the signal that ended it.
template <class F>
int in_child(F&& action) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(120);  // no test waits for ever
    ::_exit(action());
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/// The size of this process's address space, in bytes.
rlim_t address_space() {
  long pages = 0;
  if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return static_cast<rlim_t>(pages) * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("nothing is printed", "[guest]") {
  const TempFolder folder;
  const auto path = folder.path() / "printed";
  const int status = in_child([&] {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(file, 1);
    ::dup2(file, 2);
    auto order = small_order();
    order.prompt = std::string(4000, 'x') + " too long";  // worth a warning
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

// Sanitizers reserve more address space than any limit leaves.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("too little memory is an error", "[guest][memory]") {
  enum Outcome { done = 0, no_memory = 1, error = 2, other = 3 };
  for (const auto& engine : ops::engine_names()) {
    int refused = 0;
    for (const rlim_t megabytes : {0, 1, 4, 16, 32, 64, 128, 256, 320, 4096}) {
      const int status = in_child([&] {
        const rlim_t limit = address_space() + (megabytes << 20);
        const rlimit limits{limit, limit};
        ::setrlimit(RLIMIT_AS, &limits);
        try {
          auto order = small_order();
          order.width = order.height = 128;
          (void)load_tiny(engine).generate(order);
          return done;
        } catch (const std::bad_alloc&) {
          return no_memory;
        } catch (const Error&) {
          return error;
        } catch (...) {
          return other;
        }
      });
      INFO(engine << ", " << megabytes << " MB more");
      CHECK((status == done || status == no_memory || status == error));
      if (megabytes == 4096) CHECK(status == done);
      refused += status != done ? 1 : 0;
    }
    CHECK(refused >= 3);
  }
}
#endif
#endif
