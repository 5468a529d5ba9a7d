#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include "daguerre/daguerre.hpp"
#include "daguerre/pipeline/infotext_request.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/noise.hpp"
#include "daguerre/pipeline/other_autoencoder.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "pipeline/second_pass.hpp"
#include "pipeline/tile_axis.hpp"
#include "pipeline/tiled_parts.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using test::expect_error;

namespace {

Pipeline enlarger(const std::string& name, LoadOptions options = {}) {
  options.precision = Precision::float32;
  options.engine = "native";
  options.threads = 1;
  return Pipeline::load(test::golden("pipelines/" + name), options);
}

Request enlarging_order() {
  Request request;
  request.prompt = "a cat on a red carpet";
  request.size = {.width = 24, .height = 16};
  request.sampling = {.steps = 4, .seed = 7, .sampler = "euler-a"};
  return request;
}

bool same_tensor(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.data(), a.data() + a.size(), b.data());
}

bool same_image(const Image& a, const Image& b) {
  return a.width() == b.width() && a.height() == b.height() &&
         std::equal(a.pixels().begin(), a.pixels().end(), b.pixels().begin());
}

bool has_setting(const Result& made, const std::string& text) {
  return made.infotexts.at(0).find(text) != std::string::npos;
}

/// Says what it is given, and how large the largest of it was.
class Echo final : public Denoiser {
 public:
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context&, const Tensor<float>& x, float,
                           const Conditioning& conditioning) const override {
    largest = std::max({largest, x.dim(1), x.dim(2)});
    CHECK(conditioning.concat.dim(1) == x.dim(1));
    CHECK(conditioning.extras.at("picture").dim(2) == 8 * x.dim(2));
    CHECK(conditioning.concat.data()[0] == x.data()[0]);  // cut at the same place
    return x;
  }
  mutable Index largest = 0;

 private:
  DenoiserInfo info_{.side_multiple = 2, .extras = {"picture"}};
};

double psnr(const Tensor<float>& actual, const Tensor<float>& expected) {
  double squares = 0.0;
  for (Index i = 0; i < actual.size(); ++i) {
    const double d = static_cast<double>(actual.data()[i]) - static_cast<double>(expected.data()[i]);
    squares += d * d;
  }
  return 10.0 * std::log10(4.0 * static_cast<double>(actual.size()) / squares);  // of values in [-1, 1]
}

}  // namespace

TEST_CASE("latents are made larger as the reference's are", "[pipeline][hires]") {
  const auto runs = test::golden("pipelines/sd1") / "runs";
  const auto first = weights::SafetensorsFile::open(runs / "two_pass_a.safetensors");
  const auto latents = test::channels_last(first, "out.latents");
  for (const auto& [name, mode] : {std::pair{"two_pass_b_bilinear", Hires::Mode::latent_bilinear},
                                   {"two_pass_b_nearest", Hires::Mode::latent_nearest}}) {
    const auto second = weights::SafetensorsFile::open(runs / (std::string(name) + ".safetensors"));
    const auto expected = test::channels_last(second, "in.image");
    const auto larger = resized_latents({}, latents, expected.dim(1), expected.dim(2), mode);
    CHECK(test::difference(larger, expected).rel_l2 < 1e-6);
  }
  const auto line = Tensor<float>::copy_of({1, 1, 5, 1}, std::vector<float>{0, 1, 2, 3, 4});
  const auto exact = resized_latents({}, line, 1, 8, Hires::Mode::latent_nearest_exact);
  CHECK(same_tensor(exact, Tensor<float>::copy_of({1, 1, 8, 1}, std::vector<float>{0, 0, 1, 2, 2, 3, 4, 4})));
  // The kernel of Keys (1981) with a = -0.75, at the distance from each of the four pixels around.
  const auto kernel = [](double d) {
    d = std::abs(d);
    constexpr double k = -0.75;
    return d <= 1.0 ? ((k + 2.0) * d - (k + 3.0)) * d * d + 1.0 : k * (((d - 5.0) * d + 8.0) * d - 4.0);
  };
  const auto values = test::random_tensor({1, 5, 4, 2}, 3);
  const auto cubic = resized_latents({}, values, 7, 9, Hires::Mode::latent_bicubic);
  double worst = 0.0;
  for (Index y = 0; y < 7; ++y)
    for (Index x = 0; x < 9; ++x)
      for (Index c = 0; c < 2; ++c) {
        const double row = (static_cast<double>(y) + 0.5) * 5 / 7 - 0.5,
                     column = (static_cast<double>(x) + 0.5) * 4 / 9 - 0.5;
        double expected = 0.0;
        for (Index i = static_cast<Index>(std::floor(row)) - 1, n = 0; n < 4; ++i, ++n)
          for (Index j = static_cast<Index>(std::floor(column)) - 1, m = 0; m < 4; ++j, ++m)
            expected +=
                kernel(row - static_cast<double>(i)) * kernel(column - static_cast<double>(j)) *
                static_cast<double>(
                    values.data()[(std::clamp<Index>(i, 0, 4) * 4 + std::clamp<Index>(j, 0, 3)) * 2 + c]);
        worst = std::max(worst, std::abs(expected - static_cast<double>(cubic.data()[(y * 9 + x) * 2 + c])));
      }
  CHECK(worst < 1e-5);
  expect_error<ArgumentError>([&] { (void)resized_latents({}, line, 2, 2, Hires::Mode::pixels); },
                              {"pixels"});
}

TEST_CASE("a second pass is a call of its own", "[pipeline][hires]") {
  const auto pipe = enlarger("sd1");
  auto order = enlarging_order();
  const auto first = pipe.generate(order);
  order.hires = {.scale = 1.5, .strength = 0.5, .steps = 6, .sampler = "ddim"};
  std::vector<int> seen;
  order.on_step = [&](const Step& step) {
    seen.push_back(step.index);
    CHECK(step.total == 7);
    CHECK(step.preview().width() == (step.index < 4 ? 24 : 36));
    return true;
  };
  const auto both = pipe.generate(order);
  CHECK(seen == std::vector<int>{0, 1, 2, 3, 4, 5, 6});
  CHECK(both.images[0].width() == 36);
  CHECK(has_setting(both, "Size: 24x16"));
  CHECK(has_setting(both, "Hires upscale: 1.5, Hires steps: 6, Hires sampler: ddim, Hires upscaler: Latent"));

  auto again = enlarging_order();
  again.size = {};
  again.sampling = {.steps = 6, .seed = 7, .sampler = "ddim"};
  again.input.latents = resized_latents({}, first.latents, 12, 18, Hires::Mode::latent_bilinear);
  again.input.strength = 0.5;
  CHECK(same_tensor(pipe.generate(again).latents, both.latents));

  order.on_step = {};
  order.output.count = 2;
  const auto two = pipe.generate(order);
  CHECK(same_tensor(two.latents.slice(0, 1), both.latents));

  // In pixels, by an upscaler of the host's own that gives what it likes.
  order.output.count = 1;
  order.hires->mode = Hires::Mode::pixels;
  order.hires->upscaler_name = "doubled";
  int asked = 0;
  order.hires->upscaler = [&](const Image& image) {
    ++asked;
    CHECK(same_image(image, first.images[0]));
    return image.resized(2 * image.width(), 2 * image.height(), Resampling::nearest);
  };
  const auto pixels = pipe.generate(order);
  CHECK(asked == 1);
  again.input.latents = {};
  again.input.image = first.images[0].resized(48, 32, Resampling::nearest);
  again.size = {.width = 36, .height = 24};
  CHECK(same_tensor(pipe.generate(again).latents, pixels.latents));
  CHECK(has_setting(pixels, "Hires upscaler: doubled"));
  order.hires->upscaler = {};
  again.input.image = first.images[0];
  CHECK(same_tensor(pipe.generate(again).latents, pipe.generate(order).latents));
}

TEST_CASE("second passes go with everything that begins with noise or a picture", "[pipeline][hires]") {
  for (const char* name : {"sdxl", "sd3", "flux_schnell", "sd1_inpaint9", "flux_fill"}) {
    INFO(name);
    const auto pipe = enlarger(name);
    auto order = enlarging_order();
    order.size = {.width = 32, .height = 32};
    order.sampling.sampler.reset();
    if (pipe.info().needs_mask) {
      order.input.image = Image(32, 32, 3);
      order.input.mask = Image(32, 32, 1);
      std::fill_n(order.input.mask.pixels().begin(), 400, std::uint8_t{255});
    }
    for (const auto mode : {Hires::Mode::latent_nearest_exact, Hires::Mode::pixels}) {
      order.hires = {.width = 48, .mode = mode, .strength = 0.6};
      const auto made = pipe.generate(order);
      CHECK(made.images[0].width() == 48);
      CHECK(made.images[0].height() == 48);
    }
  }
  auto order = enlarging_order();
  order.hires = {.scale = 0.0};
  const auto pipe = enlarger("sd1");
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"second pass", "0 times"});
  order.hires = {.width = 37};
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"width of the second pass", "37"});
  order.hires = {.strength = 1.5};
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"strength"});
  order.hires = {.strength = 0.01};
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"no step"});
  Request of_class{.class_labels = {207}, .sampling = {.steps = 2}};
  of_class.hires.emplace();
  expect_error<ArgumentError>([&] { enlarger("dit").generate(of_class); }, {"no second pass"});
}

TEST_CASE("tiles cover a side and weigh one together", "[pipeline][tiles]") {
  for (const auto& [total, tile, overlap, multiple] : {std::array<Index, 4>{64, 64, 16, 1},
                                                       {65, 64, 16, 1},
                                                       {200, 64, 16, 2},
                                                       {17, 4, 3, 1},
                                                       {40, 8, 0, 4}}) {
    const auto axis = TileAxis::of(total, tile, overlap, multiple);
    CHECK(axis.begins.front() == 0);
    CHECK(axis.begins.back() + axis.size == total);
    for (std::size_t i = 0; i + 1 < axis.begins.size(); ++i) {
      CHECK(axis.begins[i] + axis.size - axis.begins[i + 1] >= overlap);
      CHECK(axis.begins[i] % multiple == 0);
    }
    for (const Index ratio : {1, 2}) {
      const auto weights =
          axis.weights(total, {.overlap = overlap, .margin = overlap / 4, .smooth = true}, ratio);
      std::vector<float> sums(static_cast<std::size_t>(total * ratio));
      for (std::size_t t = 0; t < weights.size(); ++t)
        for (std::size_t i = 0; i < weights[t].size(); ++i)
          sums[static_cast<std::size_t>(axis.begins[t] * ratio) + i] += weights[t][i];
      CHECK(std::all_of(sums.begin(), sums.end(), [](float sum) { return std::abs(sum - 1.0f) < 1e-6f; }));
    }
  }
}

TEST_CASE("a denoiser in tiles sees what lies over each", "[pipeline][tiles]") {
  const auto echo = std::make_shared<const Echo>();
  const auto x = test::random_tensor({2, 20, 26, 3}, 1);
  Conditioning conditioning;
  conditioning.concat = x;
  conditioning.extras["picture"] = Tensor<float>::zeros({1, 160, 208, 3});
  const auto joined = (*tiled(echo, {8, 8}, 2))({}, x, 1.0f, conditioning);
  CHECK(echo->largest == 8);
  CHECK(test::difference(joined, x).rel_l2 < 1e-6);
}

TEST_CASE("one tile is no tile, and many make a picture of any size", "[pipeline][tiles]") {
  for (const char* name : {"sd1", "sdxl", "sd3"}) {
    INFO(name);
    const auto pipe = enlarger(name);
    auto order = enlarging_order();
    order.size = {.width = 48, .height = 32};
    order.sampling.sampler.reset();
    order.sampling.steps = 2;
    const auto plain = pipe.generate(order);
    order.tiles = {.size = 48};
    const auto whole = pipe.generate(order);
    CHECK(same_tensor(whole.latents, plain.latents));
    order.tiles = {.size = 32, .overlap = 8};
    order.output.count = 2;
    const auto pieces = pipe.generate(order);
    CHECK_FALSE(same_tensor(pieces.latents.slice(0, 1), plain.latents));
    order.output.count = 1;
    CHECK(same_tensor(pipe.generate(order).latents, pieces.latents.slice(0, 1)));
  }
  const auto pipe = enlarger("sd1");
  auto order = enlarging_order();
  order.tiles = {.size = 33};
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"size of tiles", "33"});
  order.tiles = {.size = 32, .overlap = 32};
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"cannot overlap"});
}

TEST_CASE("the autoencoder's tiles blend as the reference's or unseen", "[pipeline][tiles]") {
  const auto pipe = Pipeline::load(std::filesystem::path(DAGUERRE_TEST_DATA) / "../../examples/models/emoji",
                                   {.precision = Precision::float32, .engine = "native", .threads = 1});
  const auto& vae = pipe.model().components().autoencoder;
  const ops::Context context{.engine = nullptr, .threads = {}, .pool = {}, .stop = {}, .profile = {}};
  // A picture that is not the same everywhere: five emojis in the corner of a white sheet.
  auto order = Request{.prompt = "red apple", .sampling = {.steps = 6, .seed = 1}, .output = {.count = 5}};
  const auto made = pipe.generate(order);
  const Index side = made.images[0].width();
  Image sheet(4 * side, 4 * side, 3);
  std::fill(sheet.pixels().begin(), sheet.pixels().end(), std::uint8_t{255});
  for (std::size_t i = 0; i < 5; ++i)
    for (Index y = 0; y < side; ++y) {
      const auto index = static_cast<Index>(i), row = index / 4 * side + y, column = index % 4 * side;
      std::copy_n(made.images[i].pixels().data() + y * side * 3, side * 3,
                  sheet.pixels().data() + (row * 4 * side + column) * 3);
    }
  const auto pictures = to_tensor(sheet);
  const auto latents = vae->encode(context, pictures).mean;
  const auto whole = vae->decode(context, latents);
  const Index tile = 24;
  const auto with = [&](VaeTiling::Blend blend) { return tiled(vae, blend, tile); };
  const double seamless = psnr(with(VaeTiling::Blend::seamless)->decode(context, latents), whole);
  const double reference = psnr(with(VaeTiling::Blend::reference)->decode(context, latents), whole);
  INFO("PSNR against the untiled picture: seamless " << seamless << ", reference " << reference);
  CHECK(seamless > reference + 6.0);
  CHECK(seamless > 36.0);
  const auto encoded = with(VaeTiling::Blend::seamless)->encode(context, pictures);
  CHECK(test::difference(encoded.mean, latents).rel_l2 < 0.2);
  CHECK(encoded.std.shape() == latents.shape());
  const auto two = concat_leading<float>(std::array{Tensor<float>::zeros(latents.shape()), latents});
  CHECK(same_tensor(with(VaeTiling::Blend::seamless)->decode(context, two).slice(1, 2),
                    with(VaeTiling::Blend::seamless)->decode(context, latents)));
  CHECK(same_tensor(tiled(vae, VaeTiling::Blend::seamless, latents.dim(1))->decode(context, latents), whole));

  order.output.count = 1;
  order.vae_tiling.use = VaeTiling::Use::on;
  CHECK(same_image(pipe.generate(order).images[0], made.images[0]));  // fits into one
  order.size = {.width = 2 * side, .height = side};
  const auto tiles = pipe.generate(order);
  CHECK(has_setting(tiles, "VAE tiling: seamless"));
  order.vae_tiling = {};
  CHECK(same_tensor(pipe.generate(order).latents, tiles.latents));
  CHECK_FALSE(same_image(pipe.generate(order).images[0], tiles.images[0]));
}

namespace {

/// Frames that are the noise that was drawn, and in time one more than there are latents, though its format
/// is that of pictures.
class NoiseAsFilm final : public Autoencoder {
 public:
  const LatentFormat& info() const noexcept override { return format_; }
  Distribution encode(const ops::Context&, const Tensor<float>& x) const override { return {x, {}}; }
  Tensor<float> decode(const ops::Context&, const Tensor<float>& x) const override { return x; }
  void decode_film(const ops::Context&, const Tensor<float>& x, const FilmDecoding& decoding,
                   const FrameSink& sink) const override {
    sink(decoding.noise(x.shape()));
    const auto plane = decoding.noise({1, x.dim(2), x.dim(3)});
    sink(plane.reshape({1, 1, x.dim(2), x.dim(3), 1}));
  }

 private:
  LatentFormat format_{.channels = 1, .space_ratio = 1, .mean = {}, .std = {}, .config = {}};
};

}  // namespace

TEST_CASE("tiles of a film share its noise and its layers in time", "[pipeline][tiles][film]") {
  const auto vae = std::make_shared<const NoiseAsFilm>();
  const auto latents = Tensor<float>::zeros({1, 2, 12, 20, 1});
  const auto decoded = [&](const Autoencoder& autoencoder) {
    SeededNoise noise("torch-cpu", {3});
    std::vector<Tensor<float>> frames;
    const FilmDecoding decoding{.noise = [&](const Shape& shape) {
      return noise.draw(NoiseStreams::Use::decoder, shape, FilmOrder::channels_first);
    }};
    autoencoder.decode_film({}, latents, decoding,
                            [&](const Tensor<float>& some) { frames.push_back(some[0]); });
    return concat_leading<float>(frames);
  };
  const auto whole = decoded(*vae);
  REQUIRE(whole.dim(0) == 3);
  for (const auto blend : {VaeTiling::Blend::seamless, VaeTiling::Blend::reference}) {
    const auto joined = decoded(*tiled(vae, blend, 8));
    REQUIRE(joined.shape() == whole.shape());
    CHECK(test::difference(joined, whole).rel_l2 < 1e-6);
  }
}

TEST_CASE("a limit on memory brings tiles by itself", "[pipeline][tiles]") {
  const auto pipe = enlarger("sd1", {.memory_limit = 1'000'000});
  auto order = enlarging_order();
  CHECK(pipe.generate(order).warnings.empty());
  order.size = {.width = 128, .height = 96};
  order.sampling.steps = 1;
  const auto made = pipe.generate(order);
  REQUIRE(made.warnings.size() == 1);
  CHECK(made.warnings[0].find("autoencoder works in tiles") != std::string::npos);
  CHECK(has_setting(made, "VAE tiling: seamless"));
  order.vae_tiling.use = VaeTiling::Use::off;
  CHECK(pipe.generate(order).warnings.empty());
}

TEST_CASE("a model takes another autoencoder", "[pipeline]") {
  const auto path = test::golden("pipelines/sd1");
  const auto source = ModelSource::open(path);
  const auto load = [&](const std::filesystem::path& other) {
    return Pipeline::load(with_autoencoder(source, other),
                          {.precision = Precision::float32, .engine = "native", .threads = 1});
  };
  const auto order = enlarging_order();
  const auto own = enlarger("sd1").generate(order);
  CHECK(same_image(load(path / "vae").generate(order).images[0], own.images[0]));
  const auto tiny = load(test::golden("pipelines/sd1_taesd") / "vae").generate(order);
  CHECK(tiny.images[0].width() == own.latents.dim(2) * tiny.images[0].height() / own.latents.dim(1));
  CHECK_FALSE(same_image(tiny.images[0], own.images[0]));
  expect_error<ConfigError>([&] { (void)load(path / "unet"); }, {"UNet2DConditionModel", "autoencoder"});
  expect_error<FileError>([&] { (void)load(path / "nothing"); }, {"nothing"});
}

TEST_CASE("a variation lies between two seeds", "[pipeline]") {
  const auto pipe = enlarger("sd1");
  auto order = enlarging_order();
  order.sampling.sampler = "ddim";
  const auto near = pipe.generate(order);
  order.sampling.seed = 9;
  const auto far = pipe.generate(order);
  order.sampling.seed = 7;
  order.sampling.variation_seed = 8;
  order.sampling.variation_strength = 0.0;
  CHECK(same_tensor(pipe.generate(order).latents, near.latents));
  order.sampling.variation_strength = 1.0;
  order.output.count = 2;
  const auto all = pipe.generate(order);
  CHECK(all.seeds == std::vector<std::uint64_t>{7, 7});
  CHECK(same_tensor(all.latents.slice(1, 2), far.latents));
  // Half the way, by the rule for vectors of this length: as long as both, and as far from either.
  SeededNoise low("torch-cpu", {7}), high("torch-cpu", {9}), again("torch-cpu", {7});
  VariedNoise half(again, high, 0.5);
  const Shape shape{1, 64, 2, 4};
  const auto a = low.draw(NoiseStreams::Use::initial, shape),
             h = half.draw(NoiseStreams::Use::initial, shape);
  SeededNoise last("torch-cpu", {9});
  const auto b = last.draw(NoiseStreams::Use::initial, shape);
  for (Index column = 0; column < 8; ++column) {
    double aa = 0, bb = 0, ab = 0, ha = 0, hb = 0;
    for (Index i = column; i < h.size(); i += 8) {
      const double x = a.data()[i], y = b.data()[i], z = h.data()[i];
      aa += x * x, bb += y * y, ab += x * y, ha += z * x, hb += z * y;
    }
    const double along = 1.0 / (2.0 * std::cos(std::acos(ab / std::sqrt(aa * bb)) / 2.0));
    CHECK(std::abs(ha - along * (aa + ab)) < 1e-4 * aa);
    CHECK(std::abs(hb - along * (bb + ab)) < 1e-4 * bb);
  }
  order.sampling.variation_strength = 1.5;
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"variation_strength", "1.5"});
  order.sampling.variation_strength.reset();
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"variation_seed"});
}

TEST_CASE("previews may come from another autoencoder", "[pipeline]") {
  const auto pipe = enlarger("sd1");
  auto order = enlarging_order();
  order.sampling.steps = 1;
  std::vector<Image> previews;
  order.on_step = [&](const Step& step) {
    previews.push_back(step.preview());
    return true;
  };
  pipe.generate(order);
  const LoadOptions options{.precision = Precision::float32, .engine = "native", .threads = 1};
  for (const char* name : {"sd1", "sd1_taesd"}) {
    order.output.preview = load_autoencoder(test::golden(std::string("pipelines/") + name) / "vae", options);
    pipe.generate(order);
  }
  CHECK(same_image(previews.at(0), previews.at(1)));
  CHECK_FALSE(same_image(previews.at(0), previews.at(2)));
}

TEST_CASE("a picture's settings make it again", "[pipeline][infotext]") {
  const test::TempFolder folder;
  const auto repeated = [&](const Pipeline& pipe, const Request& order, const auto& add) {
    const auto file = folder / "made.png";
    const auto made = pipe.generate(order);
    made.save_png(file);
    auto read = request_from_infotext(parse_infotext(read_png_text(file).at(0).second));
    add(read);
    INFO(made.infotexts[0]);
    CHECK(read.notes == std::vector<std::string>{});
    const auto again = pipe.generate(read.request);
    CHECK(same_image(again.images[0], made.images[0]));
    CHECK(again.infotexts[0] == made.infotexts[0]);
    return read;
  };
  const auto nothing = [](const auto&) {};
  const auto sd = enlarger("sd1"), xl = enlarger("sdxl"), flux = enlarger("flux_dev"),
             schnell = enlarger("flux_schnell");
  auto order = enlarging_order();
  repeated(sd, order, nothing);
  order.sampling.variation_seed = 5;
  order.sampling.variation_strength = 0.1;
  repeated(sd, order, nothing);
  order.sampling = {.steps = 3, .seed = 18446744073709551615u, .generator = "cuda-philox"};
  order.prompt = "  a cat, (red:1.2)\n\nNegative prompt: none\nSteps: 1, Sampler: x, Seed: 2 ";
  order.negative_prompt = "dark \"blur\"\n";
  order.guidance = {.scale = 7.1f, .rescale = 0.3f};
  order.clip_skip = 1;
  order.prompt_syntax = PromptSyntax::a1111;
  order.emphasis = Emphasis::no_norm;
  order.hires = {.scale = 1.5,
                 .mode = Hires::Mode::latent_bicubic,
                 .strength = 1.0 / 3.0,
                 .steps = 7,
                 .sampler = "ddim"};
  order.tiles = {.size = 32, .overlap = 4};
  order.rewrite = RewriteRecord{.original = " a cat: \"red\",\nSteps: 3, Seed: 4",
                                .rewriter = "a, model",
                                .instruction = "expand",
                                .remark = "The last one lacked: \"blur\".",
                                .seed = 18446744073709551615u,
                                .seconds = 1.25,
                                .failure = {}};
  CHECK(repeated(sd, order, nothing).request.rewrite == order.rewrite);
  order.rewrite->failure = "no answer within 2 seconds";
  CHECK(repeated(sd, order, nothing).request.rewrite == order.rewrite);
  order.rewrite.reset();
  order.clip_skip.reset();
  order.prompt_syntax = PromptSyntax::plain;
  order.emphasis.reset();
  order.negative_prompt = "";
  order.prompt_2 = "a dog";
  order.micro.crop_top_left = {3, 5};
  order.micro.original_size = Extent{100, 200};
  order.hires->mode = Hires::Mode::pixels;
  repeated(xl, order, nothing);

  auto flow = enlarging_order();
  flow.size = {.width = 32, .height = 32};
  flow.sampling.sampler.reset();
  flow.guidance.scale = 2.5f;
  repeated(flux, flow, nothing);
  flow.negative_prompt = "a dog";
  flow.guidance.true_cfg_scale = 1.7f;
  repeated(flux, flow, nothing);
  flow.guidance.scale.reset();
  repeated(schnell, flow, nothing);
  flow.guidance.true_cfg_scale.reset();
  flow.negative_prompt.reset();
  repeated(schnell, flow, nothing);

  auto paint = enlarging_order();
  paint.size = {};
  paint.input.image = Image(30, 20, 3);
  std::iota(paint.input.image.pixels().begin(), paint.input.image.pixels().end(), std::uint8_t{0});
  paint.input.strength = 0.55;
  const auto picture = [&](InfotextRequest& read) {
    CHECK(read.needs_image);
    read.request.input.image = paint.input.image;
  };
  CHECK_FALSE(repeated(sd, paint, picture).needs_mask);
  paint.input.mask = Image(30, 20, 1);
  std::fill_n(paint.input.mask.pixels().begin() + 200, 150, std::uint8_t{255});
  paint.input.inpainting = {.mask_blur = 1.25,
                            .mask_grow = -1,
                            .only_masked = 3,
                            .keep_unmasked = true,
                            .content = MaskedContent::latent_nothing};
  repeated(sd, paint, [&](InfotextRequest& read) {
    picture(read);
    CHECK(read.needs_mask);
    read.request.input.mask = paint.input.mask;
  });
  paint.input.mask = {};
  paint.input.inpainting = {.outpaint = {.left = 5, .bottom = 3, .overlap = 4}};
  CHECK_FALSE(repeated(sd, paint, picture).needs_mask);
}

TEST_CASE("settings of other programs are read as far as they are known", "[pipeline][infotext]") {
  const auto read = request_from_infotext(parse_infotext(
      "a lighthouse\nNegative prompt: fog\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: "
      "7, "
      "Seed: 42, Size: 512x768, Model hash: abc, Model: dream, Denoising strength: 0.4, Clip skip: 2, "
      "Hires upscale: 2, Hires upscaler: Latent (nearest-exact), Hires steps: 0, Palette: blue, Eta: much, "
      "Version: v1.10"));
  const auto& request = read.request;
  CHECK(request.prompt == "a lighthouse");
  CHECK(request.negative_prompt == "fog");
  CHECK(request.prompt_syntax == PromptSyntax::a1111);
  CHECK(request.sampling.sampler == "dpm++2m-karras");
  CHECK(request.sampling.generator == "cuda-philox");
  CHECK(request.size.height == 768);
  CHECK(request.clip_skip == 1);
  REQUIRE(request.hires);
  CHECK(request.hires->strength == 0.4);
  CHECK(request.hires->mode == Hires::Mode::latent_nearest_exact);
  CHECK_FALSE(request.hires->steps);
  CHECK_FALSE(request.input.strength);
  CHECK_FALSE(read.needs_image);
  CHECK(read.model == "dream");
  REQUIRE(read.notes.size() == 2);
  CHECK(read.notes[0].find("Palette") != std::string::npos);
  CHECK(read.notes[1].find("\"much\"") != std::string::npos);

  auto keys = InfotextKeys::standard();
  keys.add("Palette", [](const InfotextKeys::Reading& reading, const std::string& value) {
    reading.result.request.prompt += ", " + value;
  });
  CHECK(keys.read({"a house", "", {{"Palette", "blue"}}}).request.prompt == "a house, blue");
  CHECK(keys.read({"a house", "", {{"Version", "Daguerre 1"}}}).request.prompt_syntax == PromptSyntax::plain);
}
