// LPIPS as a network and as what compares pictures.
#include "daguerre/evaluation/perceptual_distance.hpp"

#include <array>
#include <numeric>

#include "conformance/recipe_weights.hpp"
#include "daguerre/models/feature_extractors/lpips.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/native_engine.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;
using models::LpipsTrunk;

namespace {

weights::StateDict recorded_weights(LpipsTrunk trunk) {
  return conformance::recipe_weights(golden("metrics/lpips_" + std::string(models::name(trunk))));
}

models::Lpips<float> network_of(LpipsTrunk trunk, const ops::Context& context) {
  return {trunk, {weights::Scope(models::with_lpips_names(recorded_weights(trunk))), context}};
}

Image noise_picture(Index width, Index height, unsigned seed, Index channels = 3) {
  Image picture(width, height, channels);
  for (auto& value : picture.pixels())
    value = static_cast<std::uint8_t>((seed = seed * 1664525u + 1013904223u) >> 24);
  return picture;
}

/// Those tensors whose names `rename` gives a name.
template <class Rename>
std::filesystem::path written(const std::filesystem::path& path, const weights::StateDict& weights,
                              const Rename& rename) {
  weights::SafetensorsWriter writer;
  for (const auto& name : weights.names())
    if (const std::string other = rename(name); !other.empty())
      writer.add(other, weights.tensor(name, weights.shape(name)));
  writer.save(path);
  return path;
}

}  // namespace

TEST_CASE("LPIPS is a distance between pictures of any size", "[models]") {
  const auto context = context_for("native");
  for (const auto trunk : {LpipsTrunk::alex, LpipsTrunk::vgg, LpipsTrunk::squeeze}) {
    INFO(models::name(trunk));
    const auto lpips = network_of(trunk, context);
    const Index least = lpips.smallest_side();
    const auto a = random_tensor({2, least, least + 6, 3}, 5), b = random_tensor({2, least, least + 6, 3}, 6);
    const auto ab = lpips(context, a, b, {.spatial = true}), ba = lpips(context, b, a);
    REQUIRE(ab.map.shape() == Shape{2, least, least + 6, 1});
    CHECK(ba.map.empty());
    const Index layers = ab.layers.dim(1);
    for (Index n = 0; n < 2; ++n) {
      CHECK(ab.distance.data()[n] > 0.0f);
      CHECK(double{ba.distance.data()[n]} == Approx(double{ab.distance.data()[n]}).epsilon(1e-5));
      const auto own = ab.layers[n].span();
      CHECK(double{std::accumulate(own.begin(), own.end(), 0.0f)} ==
            Approx(double{ab.distance.data()[n]}).epsilon(1e-5));
      const auto alone = lpips(context, a.slice(n, n + 1), b.slice(n, n + 1));
      CHECK(double{alone.distance.data()[0]} == Approx(double{ab.distance.data()[n]}).epsilon(1e-5));
    }
    CHECK(static_cast<Index>(lpips.features(context, a).size()) == layers);
    const auto itself = lpips(context, a, a);
    CHECK(itself.distance.data()[0] == 0.0f);
    CHECK(itself.distance.data()[1] == 0.0f);
    const auto small = random_tensor({1, 40, least - 1, 3}, 7);
    expect_error<ArgumentError>([&] { lpips(context, small, small); },
                                {"[1, 40, " + std::to_string(least - 1) + ", 3]", std::to_string(least)});
    expect_error<ArgumentError>([&] { lpips(context, a, a.slice(0, 1)); }, {"[2, ", "[1, "});
  }
}

TEST_CASE("LPIPS is loaded from one file or two, and compares pictures", "[evaluation]") {
  const TempFolder folder;
  const auto stored = recorded_weights(LpipsTrunk::squeeze);
  const auto whole =
      written(folder / "whole.safetensors", stored, [](const std::string& name) { return name; });
  const auto standard = models::with_lpips_names(stored);
  const auto trunk = written(folder / "squeezenet.safetensors", standard, [](const std::string& name) {
    return name.starts_with("features.") ? name : std::string();
  });
  const auto linear = written(folder / "squeeze.safetensors", standard, [](const std::string& name) {
    return name.starts_with("lin") ? name : std::string();
  });
  using evaluation::PerceptualDistance;
  const evaluation::FeatureNetworkOptions options{.engine = "native", .threads = 2};
  const auto joined = PerceptualDistance::load("lpips-squeeze:" + whole.string(), options);
  const auto two =
      PerceptualDistance::load("lpips-squeeze:" + trunk.string() + "," + linear.string(), options);
  CHECK(joined.kind() == "lpips-squeeze");
  CHECK(joined.definition().find("SqueezeNet 1.1") != std::string::npos);
  CHECK(joined.fingerprint().size() == 64);
  CHECK(two.fingerprint() == joined.fingerprint());
  CHECK(joined.smallest_side() == 17);

  const Image a = noise_picture(33, 29, 1), b = noise_picture(33, 29, 2);
  const double distance = joined(a, b);
  CHECK(distance > 0.0);
  CHECK(two(a, b) == distance);
  CHECK(joined(a, a) == 0.0);
  CHECK(joined(b, a) == Approx(distance).epsilon(1e-5));
  CHECK(joined(a.to_channels(4), b) == distance);

  expect_error<ArgumentError>([&] { joined(a, noise_picture(29, 33, 3)); }, {"33 x 29", "29 x 33"});
  expect_error<ArgumentError>([&] { joined(noise_picture(16, 40, 4), b); }, {"16 x 40", "17"});
  expect_error<ArgumentError>([&] { joined(Image(), b); }, {"0 x 0"});
  const auto load = [&](const std::string& network) {
    return [&, network] { PerceptualDistance::load(network, options); };
  };
  expect_error<WeightError>(load("lpips-vgg:" + whole.string()), {"SqueezeNet 1.1", "VGG16"});
  expect_error<WeightError>(load("lpips-squeeze:" + trunk.string()), {"lin0.model.1.weight"});
  expect_error<WeightError>(load("lpips-squeeze:" + linear.string()), {"none of LPIPS's networks"});
  expect_error<FileError>(load("lpips-squeeze:" + (folder / "none").string()), {"none"});
  for (const auto* network : {"lpips-resnet:x", "lpips-alex", "lpips-alex:", "clip:x", ""})
    expect_error<ArgumentError>(load(network), {"lpips-alex:PATH"});
}
