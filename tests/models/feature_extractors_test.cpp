// Inception v3 with its preprocessing and its weights' files, and the operations that came with it.
#include "conformance/case.hpp"
#include "conformance/recipe_weights.hpp"
#include "core/sha256.hpp"
#include "daguerre/models/feature_extractors/inception_v3.hpp"
#include "daguerre/ops/batch_norm.hpp"
#include "daguerre/ops/pool.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/ops/resample.hpp"
#include "evaluation/inception_features.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

/// Every window's pixels that lie in the picture, one by one.
Tensor<float> naive_pool(const Tensor<float>& x, const ops::PoolWindow& window, bool mean) {
  const Index rows = window.output_size(x.dim(1)), columns = window.output_size(x.dim(2));
  Tensor<float> y({x.dim(0), rows, columns, x.dim(3)});
  float* out = y.data();
  for (Index n = 0; n < x.dim(0); ++n)
    for (Index row = 0; row < rows; ++row)
      for (Index column = 0; column < columns; ++column)
        for (Index c = 0; c < x.dim(3); ++c) {
          double sum = 0.0, greatest = -1e30;
          int count = 0;
          for (Index i = 0; i < window.size; ++i)
            for (Index j = 0; j < window.size; ++j) {
              const Index a = row * window.stride - window.pad + i,
                          b = column * window.stride - window.pad + j;
              if (a < 0 || b < 0 || a >= x.dim(1) || b >= x.dim(2)) continue;
              const double value = x.data()[((n * x.dim(1) + a) * x.dim(2) + b) * x.dim(3) + c];
              sum += value, greatest = std::max(greatest, value), ++count;
            }
          REQUIRE(count > 0);
          *out++ = static_cast<float>(mean ? sum / count : greatest);
        }
  return y;
}

Image noise_image(Index width, Index height, Index channels, std::uint32_t state) {
  Image image(width, height, channels);
  for (auto& value : image.pixels())
    value = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
  return image;
}

std::filesystem::path inception_case() {
  return golden("metrics/inception_v3_pytorch_fid");
}

template <class T>
bool equal(const Tensor<T>& a, const Tensor<T>& b) {
  return a.shape() == b.shape() && std::equal(a.span().begin(), a.span().end(), b.span().begin());
}

/// The recipe's weights in a file, as bfloat16, with what published files have beside them.
std::filesystem::path inception_file(const TempFolder& folder, const std::string& hash) {
  const auto weights = conformance::recipe_weights(inception_case());
  weights::SafetensorsWriter writer;
  for (const auto& name : weights.names())
    writer.add(name, weights.tensor(name, weights.shape(name)).to<bfloat16>());
  writer.add("Conv2d_1a_3x3.bn.num_batches_tracked", Tensor<std::int64_t>::zeros({1}));
  if (!hash.empty()) {
    writer.set_metadata("source", "pt_inception.pth");
    writer.set_metadata("source_sha256", hash);
  }
  writer.save(folder / "inception.safetensors");
  return folder / "inception.safetensors";
}

}  // namespace

TEMPLATE_TEST_CASE("pools look at what of a window lies in the picture", "[ops]", float, bfloat16) {
  using T = TestType;
  const double bound = std::is_same_v<T, float> ? 1e-6 : 4e-3;
  const auto context = context_for("native");
  const auto x = random_tensor({2, 9, 12, 5}, 1).to<T>();
  for (const auto& window :
       {ops::PoolWindow{}, {3, 1, 1}, {2, 2, 0}, {3, 2, 0, true}, {3, 2, 1, true}, {5, 3, 2}}) {
    INFO(window.size << " by " << window.stride << " from " << window.pad << (window.round_up ? " up" : ""));
    const auto wide = x.template to<float>();
    const auto greatest = ops::max_pool(context, x, window), mean = ops::average_pool(context, x, window);
    CHECK(equal(greatest.template to<float>(), naive_pool(wide, window, false)));
    CHECK(difference(mean.template to<float>(), naive_pool(wide, window, true)).rel_l2 < bound);
  }
}

TEST_CASE("pools count their windows as torch does, and refuse what does not fit", "[ops]") {
  CHECK(ops::PoolWindow{3, 2, 0}.output_size(8) == 3);
  CHECK(ops::PoolWindow{3, 2, 0, true}.output_size(8) == 4);
  CHECK(ops::PoolWindow{3, 2, 0, true}.output_size(2) == 1);
  CHECK_THROWS_AS((ops::PoolWindow{3, 2, 0, true}.output_size(1)), ArgumentError);
  CHECK(ops::PoolWindow{2, 2, 1, true}.output_size(3) == 2);  // a third one would lie in the padding
  const auto context = context_for("native");
  const auto x = random_tensor({1, 4, 4, 2}, 1);
  expect_error<ArgumentError>([&] { ops::max_pool(context, x, {5, 1, 0}); }, {"[pool]", "5", "4"});
  expect_error<ArgumentError>([&] { ops::average_pool(context, x, {3, 1, 2}); }, {"padding 2"});
  expect_error<ArgumentError>([&] { ops::max_pool(context, x.reshape({4, 8}), {}); }, {"[4, 8]"});
  auto holed = x.clone();
  holed.data()[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(ops::max_pool(context, holed, {2, 2, 0}).data()[0]));
}

TEST_CASE("a batch norm behind a layer becomes part of it", "[ops]") {
  const auto weight = random_tensor({4, 3, 2, 2}, 1), gamma = random_tensor({4}, 2),
             beta = random_tensor({4}, 3);
  const auto mean = random_tensor({4}, 4);
  auto variance = random_tensor({4}, 5);
  for (float& value : variance.span()) value = value * value + 0.1f;
  const auto folded =
      ops::fold_batch_norm(ops::WeightSource::of(weight), {gamma, beta, mean, variance, 1e-3f});
  const ops::Weight scaled(folded.weight);
  std::vector<float> rows(24);
  scaled.read(2, 4, rows.data());  // rows may be read from anywhere
  for (Index row = 0; row < 4; ++row) {
    const double scale = gamma.data()[row] / std::sqrt(static_cast<double>(variance.data()[row]) + 1e-3);
    for (Index i = 0; row >= 2 && i < 12; ++i)
      CHECK(rows[static_cast<std::size_t>((row - 2) * 12 + i)] ==
            Approx(scale * weight.data()[row * 12 + i]).epsilon(1e-6));
    CHECK(folded.bias.data()[row] == Approx(beta.data()[row] - mean.data()[row] * scale).margin(1e-6));
  }
  const auto fold = [&](const Tensor<float>& values) {
    ops::fold_batch_norm(ops::WeightSource::of(weight), {gamma, beta, mean, values, 1e-3f});
  };
  variance.data()[2] = -1.0f;
  expect_error<ArgumentError>([&] { fold(variance); }, {"[batch_norm]", "channel 2", "-1"});
  expect_error<ArgumentError>([&] { fold(random_tensor({3}, 6)); }, {"[3]"});
}

TEST_CASE("TensorFlow 1 resizes from the corners of pixels", "[ops]") {
  const auto x = Tensor<float>::copy_of({1, 1, 3, 1}, std::vector<float>{0, 4, 8});
  const auto y = ops::resize_bilinear_tf1(ops::Context{}, x, 2, 6);
  const std::vector<float> row{0, 2, 4, 6, 8, 8};
  REQUIRE(y.shape() == Shape{1, 2, 6, 1});
  for (std::size_t i = 0; i < 12; ++i) CHECK(y.span()[i] == row[i % 6]);
  expect_error<ArgumentError>([&] { ops::resize_bilinear_tf1(ops::Context{}, x, 0, 3); }, {"0 x 3"});
}

TEST_CASE("SHA-256 gives the standard's digests, however the bytes come", "[core]") {
  const std::string text = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  for (const std::size_t cut : {0, 1, 31, 56}) {
    Sha256 hash;
    hash.add(std::as_bytes(std::span(text).first(cut)));
    hash.add(std::as_bytes(std::span(text).subspan(cut)));
    CHECK(hash.hex() == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  }
  CHECK(Sha256().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("Inception v3 agrees with both references on other engines and in bfloat16", "[golden]") {
  for (const auto* name : {"metrics/inception_v3_torch_fidelity", "metrics/inception_v3_pytorch_fid",
                           "metrics/inception_basic_conv"}) {
    const bool narrow = std::string_view(name).ends_with("pytorch_fid");
    const conformance::Options options{.precision = narrow ? Precision::bfloat16 : Precision::float32};
    for (const auto& result : conformance::run_below(golden(name), options)) {
      CHECK(result.unsupported.value_or("") == "");
      for (const auto& check : result.checks) {
        INFO(result.name << " " << check.name << ": " << check.difference.rel_l2);
        CHECK(check.passes());
      }
    }
  }
}

TEST_CASE("what Inception v3 says of a picture does not depend on its batch", "[models]") {
  const auto weights = conformance::recipe_weights(inception_case());
  const auto pictures = random_tensor({3, 75, 91, 3}, 1, 0.5f);
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    const auto context = context_for(engine);
    const models::InceptionV3<float> network({weights::Scope(weights), context});
    const auto together = network(context, pictures, {.middle = true, .logits = true});
    const auto alone =
        network(context_for(engine, 1), pictures.slice(1, 2), {.middle = true, .logits = true});
    CHECK(together.pool.shape() == Shape{3, 2048});
    CHECK(equal(together.first_pool.slice(1, 2), alone.first_pool));
    CHECK(equal(together.before_aux.slice(1, 2), alone.before_aux));
    CHECK(equal(together.pool.slice(1, 2), alone.pool));
    CHECK(equal(together.logits.slice(1, 2), alone.logits));
    CHECK(network(context, pictures.slice(0, 1), {.logits = false}).logits.empty());
    expect_error<ArgumentError>(
        [&] {
          network(context, random_tensor({1, 74, 99, 3}, 1));
        },
        {"[inception_v3]", "[1, 74, 99, 3]", "75"});
  }
  CHECK(weights.unused().empty());
}

TEST_CASE("Inception's features come from a converted file, which says where it is from", "[evaluation]") {
  const TempFolder folder;
  std::vector<std::string> told;
  evaluation::FeatureNetworkOptions options;
  options.log = [&](LogLevel level, std::string_view text) {
    if (level == LogLevel::warning) told.emplace_back(text);
  };
  const auto file = inception_file(folder, "6726825d" + std::string(56, '0'));
  const auto network = evaluation::open_inception("torch-fidelity", file, options);
  CHECK(told.empty());
  CHECK(network->kind() == "torch-fidelity");
  CHECK(network->dimension() == 2048);
  CHECK(network->fingerprint().size() == 64);
  for (const auto* part : {"pt_inception.pth", "6726825d", "torch-fidelity", "TensorFlow 1", "2048", "f32"}) {
    INFO(network->definition());
    CHECK(network->definition().find(part) != std::string::npos);
  }
  const std::vector<Image> pictures{noise_image(20, 31, 3, 1), noise_image(400, 300, 4, 2)};
  const auto both = (*network)(pictures, {});
  const auto second = (*network)(std::span(pictures).subspan(1), {});
  CHECK(both.features.shape() == Shape{2, 2048});
  CHECK(both.logits.shape() == Shape{2, 1008});
  CHECK(equal(both.features.slice(1, 2), second.features));
  CHECK(equal(both.logits.slice(1, 2), second.logits));
  const auto reduced = noise_image(400, 300, 4, 2).to_channels(3);
  CHECK(equal((*network)({&reduced, 1}, {}).features, second.features));

  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS((*network)(pictures, stop.get_token()), Cancelled);
  expect_error<ArgumentError>([&] { (*network)({}, {}); }, {"no picture"});
  const Image nothing;
  expect_error<ArgumentError>([&] { (*network)({&nothing, 1}, {}); }, {"empty"});
  expect_error<ArgumentError>([&] { evaluation::open_inception("inception", file, {}); },
                              {"\"inception\"", "pytorch-fid"});

  evaluation::open_inception("pytorch-fid", inception_file(folder, std::string(64, 'a')), options);
  REQUIRE(told.size() == 1);
  CHECK(told[0].find("not the published one") != std::string::npos);
  evaluation::open_inception("pytorch-fid", inception_file(folder, ""), options);
  REQUIRE(told.size() == 2);
  CHECK(told[1].find("does not say which file") != std::string::npos);
}
