#include "daguerre/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "support/errors.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using daguerre::test::difference;
using daguerre::test::expect_error;

namespace {

struct Case {
  explicit Case(const std::filesystem::path& folder)
      : config(nlohmann::json::parse(std::ifstream(folder / "config.json"))),
        file(weights::SafetensorsFile::open(folder / "io.safetensors")),
        seed(config.at("seed")) {}

  nlohmann::json config;
  weights::SafetensorsFile file;
  std::uint64_t seed;
};

// torch computes in float32 with functions of its own, whose last bit differs from the C library's.
void check_stream(const Case& recorded, Generator& generator, double bound) {
  const auto sizes = recorded.config.at("randn_sizes_in_one_stream").get<std::vector<Index>>();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    INFO("draw " << i << " of " << sizes[i]);
    const auto expected = recorded.file.read<float>("out.randn." + std::to_string(i));
    CHECK(difference(generator.randn({sizes[i]}), expected).max_abs <= bound);
  }
}

}  // namespace

TEST_CASE("the CPU generator draws torch's numbers", "[random][golden]") {
  const auto cases = test::golden_cases("random", "torch_cpu");
  REQUIRE(cases.size() >= 6);
  for (const auto& folder : cases) {
    INFO(folder.filename().string());
    const Case recorded(folder);
    const auto uniform = recorded.file.read<float>("out.uniform");
    CHECK(difference(TorchCpuGenerator(recorded.seed).uniform(uniform.shape()), uniform).max_abs == 0.0);
    const auto randn = recorded.file.read<float>("out.randn_4d");
    CHECK(difference(TorchCpuGenerator(recorded.seed).randn(randn.shape()), randn).max_abs <= 1e-6);
    TorchCpuGenerator generator(recorded.seed);
    check_stream(recorded, generator, 1e-6);
  }
}

TEST_CASE("the Philox generator draws what front ends make of a CUDA seed", "[random][golden]") {
  const auto cases = test::golden_cases("random", "cuda_philox");
  REQUIRE(cases.size() >= 6);
  for (const auto& folder : cases) {
    INFO(folder.filename().string());
    const Case recorded(folder);
    CudaPhiloxGenerator generator(recorded.seed);
    check_stream(recorded, generator, 0.0);
  }
}

TEST_CASE("a cloned generator goes on with the same numbers", "[random]") {
  const std::string name = GENERATE("torch-cpu", "cuda-philox");
  INFO(name);
  const auto first = make_generator(name, 7);
  first->randn({3});  // an odd number, so that the CPU generator keeps the second one of a pair
  const auto second = first->clone();
  for (const Index size : {2, 20, 700}) {
    const auto expected = first->randn({size});
    CHECK(difference(second->randn({size}), expected).max_abs == 0.0);
    CHECK(difference(first->randn({size}), expected).max_abs > 0.0);
    second->randn({size});
  }
}

TEST_CASE("draws are standard normal and keep the shape", "[random]") {
  const std::string name = GENERATE("torch-cpu", "cuda-philox");
  INFO(name);
  const auto generator = make_generator(name, 11);
  const auto numbers = generator->randn({10, 100, 100});
  CHECK(numbers.shape() == Shape{10, 100, 100});
  double sum = 0.0, squares = 0.0;
  for (const float x : numbers.span()) {
    REQUIRE(std::isfinite(x));
    sum += x;
    squares += double{x} * x;
  }
  CHECK(std::abs(sum / 1e5) < 0.02);
  CHECK(std::abs(squares / 1e5 - 1.0) < 0.03);
  CHECK(generator->randn({0, 4}).empty());
  CHECK(generator->randn({}).size() == 1);
}

TEST_CASE("an unknown generator is named with those that exist", "[random]") {
  expect_error<ArgumentError>([] { make_generator("cuda", 1); }, {"\"cuda\"", "torch-cpu", "cuda-philox"});
}
