// Motion modules: what joins a model and what does not, windows over long films, and the trained modules'
// films.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/nn/temporal_windows.hpp"
#include "daguerre/pipeline/motion_adapter.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/weights/key_map.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;

namespace {

namespace fs = std::filesystem;

const auto motion_models = fs::path(DAGUERRE_TEST_DATA).parent_path().parent_path() / "examples" / "models";

/// Where what is drawn on white lies in a picture: its weight, its centre, and the direction of its longer
/// side in degrees clockwise, 0 to 180.
struct Drawn {
  double weight = 0.0, x = 0.0, y = 0.0, angle = 0.0;

  explicit Drawn(const Image& picture) {
    double xx = 0.0, xy = 0.0, yy = 0.0;
    const auto each = [&](const auto& add) {
      for (Index row = 0; row < picture.height(); ++row)
        for (Index column = 0; column < picture.width(); ++column) {
          const auto* pixel = picture.pixels().data() + (row * picture.width() + column) * picture.channels();
          add(255.0 - *std::min_element(pixel, pixel + picture.channels()), static_cast<double>(column),
              static_cast<double>(row));
        }
    };
    each([&](double ink, double column, double row) {
      weight += ink;
      x += ink * column;
      y += ink * row;
    });
    x /= weight;
    y /= weight;
    each([&](double ink, double column, double row) {
      xx += ink * (column - x) * (column - x);
      xy += ink * (column - x) * (row - y);
      yy += ink * (row - y) * (row - y);
    });
    angle = 0.5 * std::atan2(2.0 * xy, xx - yy) * 180.0 / std::numbers::pi;
  }
};

Request film_request(const std::string& prompt, float guidance_scale = 3.0f) {
  Request request;
  request.prompt = prompt;
  request.sampling.steps = 8;
  request.sampling.seed = 42;
  request.guidance.scale = guidance_scale;
  return request;
}

std::vector<Image> film_of(const Pipeline& pipeline, const std::string& prompt) {
  auto request = film_request(prompt);
  request.film.frames = 8;
  return pipeline.generate(request).images;
}

std::vector<Drawn> drawn_in(const Pipeline& pipeline, const std::string& prompt) {
  std::vector<Drawn> result;
  for (const auto& frame : film_of(pipeline, prompt)) result.emplace_back(frame);
  return result;
}

/// The mean square of the difference between pictures of one size.
double square_error(const Image& a, const Image& b) {
  const auto x = a.pixels(), y = b.pixels();
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double difference = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    sum += difference * difference;
  }
  return sum / static_cast<double>(x.size());
}

double decibels(const Image& a, const Image& b) {
  return 10.0 * std::log10(255.0 * 255.0 / square_error(a, b));
}

Image mean_of(const Image& a, const Image& b) {
  Image result(a.width(), a.height(), 3);
  const auto x = a.pixels(), y = b.pixels();
  auto out = result.pixels();
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>((x[i] + y[i]) / 2);
  return result;
}

std::string refusal(const fs::path& motion) {
  try {
    (void)with_motion(ModelSource::open(motion_models / "emoji"), motion);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the emoji move as the prompt's word says", "[emoji][film]") {
  const auto source = with_motion(ModelSource::open(motion_models / "emoji"), motion_models / "emoji-motion");
  const auto pipeline = Pipeline::load(source, {.precision = Precision::float32, .threads = 1});

  const auto bouncing = drawn_in(pipeline, "red apple, bouncing");
  CHECK(bouncing.front().y - bouncing[4].y > 8.0);
  CHECK(std::abs(bouncing.front().x - bouncing[4].x) < 4.0);

  const auto sliding = drawn_in(pipeline, "red apple, sliding");
  CHECK(sliding.back().x - sliding.front().x > 8.0);
  CHECK(std::abs(sliding.back().y - sliding.front().y) < 4.0);

  const auto growing = drawn_in(pipeline, "red apple, growing");
  CHECK(growing.back().weight > 2.0 * growing.front().weight);
}

TEST_CASE("frames that are made between given ones are nearer to the true ones than these or their mean",
          "[emoji][film]") {
  const auto source = with_motion(ModelSource::open(motion_models / "emoji"), motion_models / "emoji-motion");
  const auto pipeline = Pipeline::load(source, {.precision = Precision::float32, .threads = 1});
  for (const char* prompt : {"red apple, sliding", "red apple, bouncing"}) {
    INFO(prompt);
    const auto whole = film_of(pipeline, prompt);
    auto request = film_request(prompt, 1.5f);
    for (std::size_t i = 0; i < whole.size(); i += 2) request.film.video.push_back(whole[i]);
    request.film.interpolate = 2;
    request.film.frame_rate = 4.0;
    request.sampling.seed = 9;  // not what the whole film came from
    const auto result = pipeline.generate(request);
    REQUIRE(result.images.size() == whole.size() - 1);
    CHECK(result.frame_rate == 8.0);
    double made = 0.0, repeated = 0.0, blended = 0.0;
    for (std::size_t i = 0; i < result.images.size(); ++i) {
      if (i % 2 == 0) {
        CHECK(decibels(result.images[i], whole[i]) > 30.0);
        continue;
      }
      made += decibels(result.images[i], whole[i]) / 3.0;
      repeated += decibels(whole[i - 1], whole[i]) / 3.0;
      blended += decibels(mean_of(whole[i - 1], whole[i + 1]), whole[i]) / 3.0;
    }
    CHECK(made > repeated + 1.0);
    CHECK(made > blended);
  }
}

TEST_CASE("motion modules of another base are refused in one line", "[film]") {
  const auto other = refusal(test::golden("pipelines/animatediff_v2/motion_adapter"));
  CHECK(other.find("8, 12 channels, not of 32, 96, 128") != other.npos);
  CHECK(other.find('\n') == other.npos);
  CHECK(refusal(motion_models / "emoji-lora/emoji-sprites.safetensors").find("no motion modules") !=
        std::string::npos);
  CHECK(refusal(motion_models / "emoji").find("config.json") != std::string::npos);
  // What is wrong with the modules is told in the name of their file, not of the U-Net's.
  const test::TempFolder folder;
  auto config = nlohmann::json::parse(test::read_file(motion_models / "emoji-motion" / "config.json"));
  for (const auto& [key, value] : {std::pair{"motion_num_attention_heads", nlohmann::json(7)},
                                   std::pair{"motion_max_seq_length", nlohmann::json(0)},
                                   std::pair{"motion_num_attention_heads", nlohmann::json{4, 4}},
                                   std::pair{"motion_transformer_layers_per_block", nlohmann::json("x")},
                                   std::pair{"motion_transformer_layers_per_block", nlohmann::json(-1)}}) {
    auto changed = config;
    changed[key] = value;
    const auto path = folder.write("config.json", changed.dump());
    const auto text = refusal(folder.path());
    INFO(text);
    CHECK(text.find(path.string()) != text.npos);
    CHECK(text.find("unet/") == text.npos);
  }
  const auto flux = ModelSource::open(test::golden("pipelines/flux_dev"));
  CHECK_THROWS_AS(with_motion(flux, motion_models / "emoji-motion"), ConfigError);
}

TEST_CASE("motion modules under their original names are the same", "[film]") {
  const auto stored = weights::StateDict::load(test::golden("pipelines/animatediff_v2/motion_adapter"));
  std::vector<weights::RenamedTensor> original;
  for (const auto& name : stored.names()) {
    auto renamed = name;
    const auto replace = [&](const std::string& from, const std::string& to) {
      if (const auto at = renamed.find(from); at != renamed.npos) renamed.replace(at, from.size(), to);
    };
    renamed.insert(renamed.find("motion_modules.") + 17, "temporal_transformer.");
    replace(".attn1.", ".attention_blocks.0.");
    replace(".attn2.", ".attention_blocks.1.");
    replace(".norm1.", ".norms.0.");
    replace(".norm2.", ".norms.1.");
    replace(".norm3.", ".ff_norm.");
    replace(".pos_embed.", ".attention_blocks.0.pos_encoder.");
    original.push_back({"module." + renamed, name});
    replace(".attention_blocks.0.pos_encoder.", ".attention_blocks.1.pos_encoder.");
    if (renamed.find("blocks.1.pos_encoder") != renamed.npos) original.push_back({"module." + renamed, name});
  }
  CHECK(weights::with_diffusers_names(stored.renamed(original)).names() == stored.names());
}

TEST_CASE("windows cover a film, and their shares add up", "[film]") {
  using nn::TemporalWindows;
  const auto total = [](const TemporalWindows& options, Index frames) {
    std::vector<float> sums(static_cast<std::size_t>(frames), 0.0f);
    for (const auto& window : nn::temporal_windows(options, frames))
      for (auto i = static_cast<std::size_t>(window.first); i < window.shares.size(); ++i)
        sums[static_cast<std::size_t>(window.begin) + i] += window.shares[i];
    return sums;
  };
  for (const auto weights : {TemporalWindows::Weights::flat, TemporalWindows::Weights::pyramid,
                             TemporalWindows::Weights::sawtooth})
    for (const Index frames : {3, 4, 5, 10, 11})
      for (const float sum : total({4, 2, weights}, frames)) CHECK(sum == Approx(1.0f));
  // Frames 8 to 10 are new to the last window, and divided by the weight of the first of them, as in the
  // reference.
  const auto sums = total({4, 4, TemporalWindows::Weights::pyramid}, 11);
  CHECK(sums[9] == 1.0f);
  CHECK(sums[10] == 0.5f);
  CHECK_THROWS_AS(nn::temporal_windows({4, 5}, 10), ArgumentError);
  CHECK_THROWS_AS(nn::temporal_windows({4, 0}, 10), ArgumentError);
}
