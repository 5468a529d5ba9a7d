// Films through the facade: frames as they come, settings, what is refused.
#include <algorithm>
#include <cmath>

#include "daguerre/media/infotext.hpp"
#include "daguerre/models/denoisers/mochi_transformer.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/pipeline/infotext_request.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/samplers/registry.hpp"
#include "pipeline/components/components.hpp"
#include "pipeline/families/families.hpp"
#include "pipeline/piecewise.hpp"
#include "pipeline/tiled_parts.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

/// LTX-Video's conditions at frames: latents of 8 frames behind the first one.
const Pipeline& film_pipeline() {
  static const auto pipe =
      Pipeline::load(golden("pipelines/ltx_095"), {.precision = Precision::float32, .engine = "native"});
  return pipe;
}

Request film_request() {
  Request request{.prompt = "waves"};
  request.max_sequence_length = 16;
  request.size = {64, 32};
  request.sampling = {.steps = 2, .seed = 5};
  request.guidance.scale = 1.0f;
  request.film.frames = 9;
  return request;
}

bool same_frames(const std::vector<Image>& a, const std::vector<Image>& b) {
  return std::ranges::equal(a, b, [](const Image& x, const Image& y) {
    return x.width() == y.width() && std::ranges::equal(x.pixels(), y.pixels());
  });
}

/// Gives back what it is given: parts of a film whose frames hold their numbers, patches of two frames, with
/// two tokens, and so two times, for each patch.
class PatchedDenoiser final : public Denoiser {
 public:
  explicit PatchedDenoiser(std::vector<Index>& begins) : begins_(&begins) {
    info_.films = true;
    info_.frame_multiple = 2;
  }
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context&, const Tensor<float>& x, float,
                           const Conditioning& conditioning) const override {
    const auto begin = static_cast<Index>(x.span()[0]);
    begins_->push_back(begin);
    CHECK(begin % 2 == 0);
    CHECK(x.dim(1) % 2 == 0);
    CHECK(std::ranges::equal(conditioning.concat.span(), x.span()));
    const auto& times = conditioning.extras.at(token_timesteps);
    CHECK(times.dim(1) == x.dim(1));
    for (Index i = 0; i < times.dim(1); ++i)
      CHECK(times.span()[static_cast<std::size_t>(i)] == static_cast<float>(begin + i));
    return x;
  }

 private:
  DenoiserInfo info_;
  std::vector<Index>* begins_;
};

}  // namespace

TEST_CASE("frames of films reach the host as they are decoded", "[pipeline][film]") {
  const auto& pipe = film_pipeline();
  CHECK(pipe.info().makes_films);
  CHECK(pipe.info().frame_rate == 25.0);
  auto request = film_request();
  request.output.count = 2;
  const auto whole = pipe.generate(request);
  REQUIRE(whole.frames == 9);
  REQUIRE(whole.count() == 2);
  CHECK(whole.frame_rate == 25.0);
  CHECK(whole.images.size() == 18);
  std::vector<Image> seen;
  std::vector<std::string> settings;
  request.on_frame = [&](const FilmFrame& frame) {
    CHECK(frame.film == static_cast<int>(seen.size()) / 9);
    CHECK(frame.index == static_cast<Index>(seen.size()) % 9);
    CHECK(frame.total == 9);
    CHECK(frame.frame_rate == 25.0);
    if (frame.index == 0) settings.emplace_back(frame.settings);
    seen.push_back(frame.image);
    return true;
  };
  const auto streamed = pipe.generate(request);
  CHECK(streamed.images.empty());
  CHECK(streamed.frames == 9);
  CHECK(settings == streamed.infotexts);
  CHECK(same_frames(seen, whole.images));
  // A film of one order does not depend on the others.
  request.on_frame = {};
  request.output.count = 1;
  request.sampling.seed = 6;
  const auto second = pipe.generate(request);
  CHECK(same_frames(second.images, {whole.film(1).begin(), whole.film(1).end()}));

  int frames = 0;
  request.on_frame = [&](const FilmFrame&) { return ++frames < 3; };
  expect_error<Cancelled>([&] { (void)pipe.generate(request); }, {"the frame callback stopped the run"});
  CHECK(frames == 3);
}

TEST_CASE("previews of films are small films", "[pipeline][film]") {
  auto request = film_request();
  std::size_t frames = 0;
  request.on_step = [&](const Step& step) {
    frames = step.preview_film().size();
    CHECK(step.preview().width() == 64);
    return true;
  };
  (void)film_pipeline().generate(request);
  CHECK(frames == 9);
}

TEST_CASE("a film's settings make it again", "[pipeline][film][infotext]") {
  const auto& pipe = film_pipeline();
  auto request = film_request();
  request.film.frame_rate = 12.5;
  request.film.decode_timestep = 0.05f;
  request.film.decode_noise = 0.025f;
  request.film.condition_noise = 0.25f;
  request.film.windows = {.frames = 17, .stride = 8, .noise = FilmWindows::Noise::random};
  const auto made = pipe.generate(request);
  INFO(made.infotexts[0]);
  CHECK(made.infotexts[0].find("Frames: 9, FPS: 12.5") != std::string::npos);
  const auto read = request_from_infotext(parse_infotext(made.infotexts[0]));
  CHECK(read.notes == std::vector<std::string>{});
  const auto again = pipe.generate(read.request);
  CHECK(again.infotexts == made.infotexts);
  CHECK(same_frames(again.images, made.images));
  // What the text cannot hold it names.
  request.film.conditions = {{{Image(64, 32, 3)}, 8, 0.5}};
  const auto kept = request_from_infotext(parse_infotext(pipe.generate(request).infotexts[0]));
  REQUIRE(kept.notes.size() == 1);
  CHECK(kept.notes[0].find("pictures at its frames") != std::string::npos);
}

TEST_CASE("films that cannot be made are refused in one line", "[pipeline][film]") {
  const auto& pipe = film_pipeline();
  const auto refused = [&](const auto& change, std::initializer_list<std::string_view> parts) {
    auto request = film_request();
    change(request);
    expect_error<ArgumentError>([&] { (void)pipe.generate(request); }, parts);
  };
  refused([](Request& r) { r.film.frames = -1; }, {"frames is -1", "1 to 100000"});
  refused([](Request& r) { r.film.frames = 1'000'000; }, {"frames is 1000000, expected 1 to 100000"});
  refused([](Request& r) { r.film.frame_rate = -2.0; }, {"frame_rate"});
  refused([](Request& r) { r.size.width = 65; }, {"65"});
  refused([](Request& r) { r.input.image = Image(64, 32, 3); }, {"makes films", "conditions at frames"});
  refused([](Request& r) { r.hires.emplace(); }, {"second pass"});
  refused([](Request& r) { r.film.conditions = {{{}, 0, 1.0}}; }, {"frame 0", "no picture"});
  refused([](Request& r) { r.film.conditions = {{{Image(8, 8, 3)}, 9, 1.0}}; }, {"at frame 9 of 9"});
  refused([](Request& r) { r.film.video = {Image(8, 8, 3)}; }, {"takes no film"});
  refused([](Request& r) { r.film.conditions = {{{Image()}, 0, 1.0}}; }, {"frame 0", "is empty"});
  refused([](Request& r) { r.film.motion_bucket = 256.0f; }, {"motion_bucket is 256", "0 to 255"});
  refused([](Request& r) { r.film.noise_augmentation = -1.0f; }, {"noise_augmentation is -1"});
  refused([](Request& r) { r.film.condition_noise = std::nanf(""); }, {"condition_noise is nan"});
  refused([](Request& r) { r.film.frame_rate = 1000.5; }, {"frame_rate is 1000.5, expected"});
  refused(
      [](Request& r) {
        r.film.conditions = {{{Image(8, 8, 3)}, 0, 1.5}};
      },
      {"strength is 1.5, expected"});
  refused([](Request& r) { r.film.noise_augmentation = 10.25f; }, {"is 10.25, expected 0 to 10"});
  refused([](Request& r) { r.film.decode_timestep = 2.0f; }, {"decode_timestep is 2", "0 to 1"});
  refused([](Request& r) { r.film.decode_noise = -0.5f; }, {"decode_noise is -0.5"});
  refused([](Request& r) { r.film.scales = {1.0f, std::nanf("")}; }, {"a scale of a film is nan"});
  refused([](Request& r) { r.film.decode_chunk = -1; }, {"decode_chunk is -1"});

  // No film is begun that cannot be held.
  const auto small =
      Pipeline::load(golden("pipelines/ltx_095"), {.engine = "native", .memory_limit = 100'000'000});
  auto request = film_request();
  request.size = {512, 512};
  request.film.frames = 99'993;
  expect_error<ArgumentError>([&] { (void)small.generate(request); },
                              {"a film of 99993 frames of 512 x 512 takes at least", "there are 0.1 GB"});
  // A model of pictures makes none.
  const auto sd = Pipeline::load(golden("pipelines/sd1"), {.engine = "native"});
  CHECK_FALSE(sd.info().makes_films);
  expect_error<ArgumentError>([&] { (void)sd.generate({.prompt = "x", .film = {.frames = 4}}); },
                              {"makes pictures, not films of 4 frames"});
}

TEST_CASE("interpolated films are as fast as those that they are made from", "[pipeline][film]") {
  const auto& pipe = film_pipeline();
  auto request = film_request();
  request.film.frames = 0;
  request.film.interpolate = 8;
  request.film.video = {Image(64, 32, 3), Image(64, 32, 3)};
  const auto made = pipe.generate(request);
  CHECK(made.frames == 9);
  CHECK(made.frame_rate == 200.0);

  // Limits are known before there is a frame.
  request.film.video.assign(1800, Image(1, 1, 3));
  request.film.interpolate = 64;
  expect_error<ArgumentError>([&] { (void)pipe.generate(request); },
                              {"1800 frames interpolated by 64 are 115137", "at most 100000"});
  request.film.video.front() = Image(2000, 1700, 3);
  request.film.interpolate = 2;
  expect_error<ArgumentError>([&] { (void)pipe.generate(request); },
                              {"1800 frames interpolated by 2, of 2000 x 1700, take 18 GB", "at most 16 GB"});
}

TEST_CASE("frames that a model cannot make are rounded with a word", "[pipeline][film]") {
  const auto& pipe = film_pipeline();
  auto request = film_request();
  request.film.frames = 12;
  const auto made = pipe.generate(request);
  CHECK(made.frames == 9);
  REQUIRE(made.warnings.size() == 1);
  CHECK(made.warnings[0].find("12 frames were asked for") != std::string::npos);
  CHECK(made.warnings[0].find("makes 9") != std::string::npos);
}

TEST_CASE("windows over patches of two frames lie on patches", "[pipeline][film]") {
  const Index frames = 12, length = GENERATE(1, 2, 4, 5, 7, 11, 12), stride = GENERATE(1, 2, 3, 7);
  if (stride > length) return;
  INFO("windows of " << length << " frames, " << stride << " apart");
  Tensor<float> film({1, frames, 1, 1, 2}), times({1, frames});
  for (Index f = 0; f < frames; ++f) {
    std::fill_n(film.data() + 2 * f, 2, static_cast<float>(f));
    times.data()[f] = static_cast<float>(f);
  }
  Conditioning conditioning;
  conditioning.concat = film;
  conditioning.extras.emplace(token_timesteps, times);
  std::vector<Index> begins;
  const auto denoiser = windowed(std::make_shared<const PatchedDenoiser>(begins), length, stride);
  const auto made = (*denoiser)({}, film, 0.0f, conditioning);
  CHECK(difference(made, film).rel_l2 < 1e-6);
  CHECK(begins.front() == 0);
  CHECK((begins.size() == 1) == (length >= frames - 1));  // 11 frames are 12 in patches
}

TEST_CASE("windows over CogVideoX 1.5's films are of its patches", "[pipeline][film]") {
  const auto pipe = Pipeline::load(golden("pipelines/cogvideox15_5b"),
                                   {.precision = Precision::float32, .engine = "native"});
  Request request{.prompt = "waves"};
  request.size = {32, 32};
  request.sampling = {.steps = 1, .seed = 5};
  request.film.frames = 17;  // five latent frames, six with what fills the patches
  const auto whole = pipe.generate(request);
  request.film.windows = {.frames = 17, .stride = 4};
  CHECK(same_frames(pipe.generate(request).images, whole.images));
  request.film.windows = {.frames = 9, .stride = 4};  // three latent frames: one patch and a half
  const auto made = pipe.generate(request);
  CHECK(made.frames == whole.frames);
  CHECK_FALSE(same_frames(made.images, whole.images));
}

TEST_CASE("settings hold tiles of a model that was trained at no squares", "[pipeline][film][infotext]") {
  const auto pipe = Pipeline::load(golden("pipelines/cogvideox15_5b"),
                                   {.precision = Precision::float32, .engine = "native"});
  Request request{.prompt = "waves"};
  request.size = {32, 32};
  request.sampling = {.steps = 1, .seed = 5};
  request.film.frames = 5;
  request.tiles.emplace();
  const auto made = pipe.generate(request);
  INFO(made.infotexts[0]);
  CHECK(made.infotexts[0].find("Tile size: as trained, Tile overlap: 20") != std::string::npos);
  const auto read = request_from_infotext(parse_infotext(made.infotexts[0]));
  CHECK(read.notes.empty());
  REQUIRE(read.request.tiles);
  CHECK(read.request.tiles->size == 0);
  CHECK(read.request.tiles->overlap == 20);
}

TEST_CASE("CogVideoX 1.5 starts from whole patches of a film's latents", "[pipeline][film]") {
  const auto pipe = Pipeline::load(golden("pipelines/cogvideox15_5b"),
                                   {.precision = Precision::float32, .engine = "native"});
  Request request{.prompt = "waves"};
  request.size = {32, 32};
  request.sampling = {.steps = 2, .seed = 5};
  request.film.video.assign(9, Image(32, 32, 3));  // three latent frames: one patch and a half
  const auto made = pipe.generate(request);
  CHECK(made.frames == 8);
  REQUIRE(made.warnings.size() == 1);
  CHECK(made.warnings[0].find("has 9 frames, CogVideoX takes the first 8") != std::string::npos);
  request.film.frames = 17;
  expect_error<ArgumentError>([&] { (void)pipe.generate(request); },
                              {"the film to start from has 9 frames, the one to be made 16"});
  request.film.frames = 0;
  request.film.video.resize(4);
  expect_error<ArgumentError>([&] { (void)pipe.generate(request); },
                              {"the film to start from has 4 frames, the one to be made 8"});
}

TEST_CASE("I2VGen-XL refuses pictures of which its film would show next to nothing", "[pipeline][film]") {
  const auto pipe = Pipeline::load(golden("pipelines/i2vgen_xl"), {.engine = "native"});
  Request request{.prompt = "waves"};
  request.size = {32, 32};
  request.sampling.steps = 1;
  request.film.frames = 2;
  for (const auto& [width, height] : {std::pair<Index, Index>{1, 16384}, {16384, 1}}) {
    request.film.conditions = {{{Image(width, height, 3)}, 0, 1.0}};
    expect_error<ArgumentError>(
        [&] { (void)pipe.generate(request); },
        {"the condition at frame 0 is " + std::to_string(width) + " x " + std::to_string(height), "32 x 32",
         "less than a twentieth"});
  }
  request.film.conditions = {{{Image(20, 400, 3)}, 0, 1.0}};
  CHECK(pipe.generate(request).frames == 2);
}

namespace {

/// States that depend on how long a prompt is, of which half are its own.
class LengthEncoder final : public TextEncoder {
 public:
  const TextEncoderInfo& info() const noexcept override { return info_; }
  std::string lost(std::string_view, Index) const override { return {}; }
  void check(std::string_view, const char*) const override {}
  Output encode(const ops::Context&, std::string_view prompt, const Options& options) const override {
    CHECK(options.masks_padding);
    CHECK(options.max_sequence_length == 6);
    auto mask = Tensor<float>::zeros({1, 6});
    std::fill_n(mask.data(), 3, 1.0f);
    return {random_tensor({1, 6, 16}, static_cast<unsigned>(prompt.size())), {}, mask};
  }

 private:
  TextEncoderInfo info_{.width = 16, .width_key = {}};
};

/// A transformer of Mochi, recorded.
class SmallMochi final : public Denoiser {
 public:
  SmallMochi()
      : weights_({weights::SafetensorsFile::open(golden("video/mochi_transformer") / "weights.safetensors")}),
        network_(models::MochiTransformerConfig::from(
                     Config::load(golden("video/mochi_transformer") / "config.json")),
                 {weights::Scope(weights_), context_for("native")}) {
    info_.side_multiple = 2;
    info_.context_width = 16;
    info_.films = true;
  }
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    return network_(context, {.sample = x,
                              .timesteps = std::span(&timestep, 1),
                              .encoder_hidden_states = conditioning.context,
                              .encoder_attention_mask = conditioning.mask});
  }

 private:
  weights::StateDict weights_;
  models::MochiTransformer<float> network_;
  DenoiserInfo info_;
};

/// Latents of six frames behind the first one, and eight pixels.
class BlankFilms final : public Autoencoder {
 public:
  /// `chunks`: of one frame for each latent, as many at once as one likes, 1,000 bytes for a pixel of each.
  explicit BlankFilms(bool chunks = false) {
    if (!chunks) return;
    format_.films = false;
    format_.time_ratio = 1;
    format_.bytes_per_pixel = 1000;
    format_.chunks = true;
  }
  const LatentFormat& info() const noexcept override { return format_; }
  Distribution encode(const ops::Context&, const Tensor<float>& x) const override { return {x, {}}; }
  Tensor<float> decode(const ops::Context&, const Tensor<float>& x) const override { return x; }
  void decode_film(const ops::Context&, const Tensor<float>& x, const FilmDecoding&,
                   const FrameSink& sink) const override {
    sink(Tensor<float>::zeros({1, 6 * (x.dim(1) - 1) + 1, 8 * x.dim(2), 8 * x.dim(3), 3}));
  }

 private:
  LatentFormat format_{.channels = 4, .films = true, .time_ratio = 6, .mean = {}, .std = {}, .config = {}};
};

}  // namespace

TEST_CASE("Mochi goes from noise at 0 to a film at 1, first slowly, beside a prompt of no tokens",
          "[pipeline][film]") {
  const auto denoiser = std::make_shared<const SmallMochi>();
  Components components{
      .text_encoders = {{"text_encoder", std::make_shared<const LengthEncoder>()}},
      .denoiser = denoiser,
      .autoencoder = std::make_shared<const BlankFilms>(),
      .index =
          Config::parse(R"({"_class_name": "MochiPipeline", "force_zeros_for_empty_prompt": true})", "m")};
  const Model model(families::mochi(), components);
  const auto context = context_for("native");
  Task task;
  task.prompts = {{.text = "a chameleon"}};
  task.height = 32;
  task.width = 48;
  task.steps = 4;
  task.sequence_length = 6;
  task.guidance.scale = 4.5f;
  task.film.frames = 7;
  task.sampler = samplers::SamplerRegistry::standard().make(Config::parse(
      R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": true, "shift": 1.0})", "s"));
  SeededNoise noise("torch-cpu", {1}), again("torch-cpu", {1});
  const auto made = model.run(context, task, noise);
  CHECK(made.decoded.shape() == Shape{1, 7, 32, 48, 3});

  Conditioning told, untold;
  told.context = random_tensor({1, 6, 16}, 11);
  told.mask = Tensor<float>::copy_of({1, 6}, std::vector<float>{1, 1, 1, 0, 0, 0});
  untold.context = random_tensor({1, 2, 16}, 99);  // whatever they are
  untold.mask = Tensor<float>::zeros({1, 2});
  auto x = again.draw(NoiseStreams::Use::initial, {1, 2, 4, 6, 4}, FilmOrder::channels_first);
  // Half of the steps fall by 0.025 in a line, the others by a square: i^2 0.2375 - i 0.9375 + 0.95.
  const std::vector<float> times{0.0f, 0.0125f, 0.025f, 0.275f, 1.0f};
  for (std::size_t i = 0; i + 1 < times.size(); ++i) {
    const auto with = (*denoiser)(context, x, 1000.0f * times[i], told),
               without = (*denoiser)(context, x, 1000.0f * times[i], untold);
    const auto guided = ops::weighted_sum(context, with, 4.5f, without, -3.5f);
    x = ops::weighted_sum(context, x, 1.0f, guided, times[i + 1] - times[i]);
  }
  CHECK(difference(made.latents, x).rel_l2 < 1e-5);

  // A model that was not trained so reads the states of the empty prompt.
  components.index = Config::parse(R"({"_class_name": "MochiPipeline"})", "m");
  SeededNoise third("torch-cpu", {1});
  CHECK(difference(Model(families::mochi(), components).run(context, task, third).latents, x).rel_l2 > 1e-3);
}

TEST_CASE("as many frames are decoded at once as there is memory for", "[pipeline][film]") {
  const Model model(families::mochi(),
                    {.text_encoders = {{"text_encoder", std::make_shared<const LengthEncoder>()}},
                     .denoiser = std::make_shared<const SmallMochi>(),
                     .autoencoder = std::make_shared<const BlankFilms>(true),
                     .index = Config::parse("{}", "m")});
  const auto planned = [&](std::optional<std::uint64_t> memory, Index asked = 0) {
    Plan plan;
    plan.task.height = 32;
    plan.task.width = 48;  // 1.5 MB for a frame
    plan.task.film.frames = 7;
    plan.task.film.decode_chunk = asked;
    (void)piecewise(model, {}, plan, memory);
    return plan;
  };
  for (const auto memory : {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(20'000'000)}) {
    const auto whole = planned(memory);
    CHECK(whole.task.film.decode_chunk == 0);
    CHECK(whole.warnings.empty());
  }
  const auto some = planned(6'000'000);
  CHECK(some.task.film.decode_chunk == 3);
  REQUIRE(some.warnings.size() == 1);
  CHECK(some.warnings.front().find("3 frames at a time: all would take about 10 MB, there are 6") !=
        std::string::npos);
  CHECK(std::ranges::count(some.parameters, std::pair<std::string, std::string>("Decode chunk", "3")) == 1);
  CHECK(planned(1'000'000).task.film.decode_chunk == 2);
  CHECK(planned(6'000'000, 5).task.film.decode_chunk == 5);
}
