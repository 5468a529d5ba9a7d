// Judges of pictures, and the best of several candidates.

#include "daguerre/pipeline/best_of.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/media/infotext.hpp"
#include "daguerre/metrics/clip_score.hpp"
#include "daguerre/pipeline/infotext_request.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using test::expect_error;
namespace fs = std::filesystem;

namespace {

fs::path shipped(const std::string& model) {
  return fs::path(DAGUERRE_TEST_DATA).parent_path().parent_path() / "examples" / "models" / model;
}

const Pipeline& emoji() {
  static const auto pipeline =
      Pipeline::load(shipped("emoji"), {.precision = Precision::float32, .threads = 1});
  return pipeline;
}

const PictureJudge& emoji_judge() {
  static const auto judge = PictureJudge::load("clip:" + shipped("emoji-judge").string(),
                                               {.precision = Precision::float32, .threads = 1});
  return judge;
}

Request small_order(const std::string& prompt = "red apple") {
  Request order;
  order.prompt = prompt;
  order.sampling.steps = 3;
  order.sampling.seed = 40;
  order.guidance.scale = 1.0f;
  return order;
}

double mean_of(const Image& image) {
  double sum = 0.0;
  for (const auto value : image.pixels()) sum += value;
  return sum / static_cast<double>(image.pixels().size());
}

PictureJudge brightness() {
  return PictureJudge::from("brightness",
                            [](std::string_view, const Image& image) { return mean_of(image); });
}

bool same_pixels(const Image& a, const Image& b) {
  return std::equal(a.pixels().begin(), a.pixels().end(), b.pixels().begin(), b.pixels().end());
}

}  // namespace

TEST_CASE("the best of several are those that the judge likes best", "[best_of]") {
  auto order = small_order();
  order.output.count = 6;
  const auto batch = emoji().generate(order);
  order.output.count.reset();
  std::vector<double> done;
  const auto made =
      best_of(emoji(), order, brightness(), {.candidates = 6, .keep = 2, .on_progress = [&](const auto& now) {
                                               CHECK(now.pictures == 6);
                                               done.push_back(now.done);
                                               return true;
                                             }});
  CHECK(std::is_sorted(done.begin(), done.end()));
  CHECK(done.back() == Approx(1.0));

  REQUIRE(made.candidates.size() == 6);
  std::vector<std::pair<double, std::uint64_t>> expected;
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(made.candidates[i].seed == 40 + i);
    CHECK(made.candidates[i].score == mean_of(batch.images[i]));
    CHECK_FALSE(made.candidates[i].finished_score);
    expected.emplace_back(-mean_of(batch.images[i]), 40 + i);
  }
  std::sort(expected.begin(), expected.end());
  REQUIRE(made.result.images.size() == 2);
  CHECK(made.result.latents.dim(0) == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(made.result.seeds[i] == expected[i].second);
    CHECK(made.result.scores[i] == -expected[i].first);
    CHECK(same_pixels(made.result.images[i], batch.images[expected[i].second - 40]));
    const auto at = static_cast<Index>(expected[i].second - 40);
    CHECK(std::equal(made.result.latents[static_cast<Index>(i)].span().begin(),
                     made.result.latents[static_cast<Index>(i)].span().end(),
                     batch.latents[at].span().begin()));
  }

  const auto text = parse_infotext(made.result.infotexts[0]);
  const auto value = [&](const std::string& key) {
    for (const auto& [name, said] : text.parameters)
      if (name == key) return said;
    return std::string("nothing");
  };
  CHECK(value("Best of") == "6");
  CHECK(value("Judge") == "brightness");
  CHECK(std::stod(value("Judge score")) == made.result.scores[0]);
  const auto again = request_from_infotext(text);
  CHECK(again.notes.empty());
  CHECK(same_pixels(emoji().generate(again.request).images[0], made.result.images[0]));
}

TEST_CASE("the best drafts are finished", "[best_of]") {
  auto order = small_order();
  std::set<int> totals;
  order.on_step = [&](const Step& step) {
    totals.insert(step.total);
    return true;
  };
  std::vector<double> done;
  int finishing = 0;
  const auto made =
      best_of(emoji(), order, brightness(),
              {.candidates = 5, .keep = 2, .draft_steps = 1, .on_progress = [&](const auto& now) {
                 done.push_back(now.done);
                 finishing += now.stage == BestOfProgress::Stage::finishing;
                 return true;
               }});
  CHECK(totals == std::set<int>{1, 3});
  CHECK(finishing == 6);
  CHECK(std::is_sorted(done.begin(), done.end()));
  CHECK(done.back() == Approx(1.0));
  std::vector<double> drafts;
  for (const auto& candidate : made.candidates) drafts.push_back(candidate.score);
  std::sort(drafts.rbegin(), drafts.rend());
  int finished = 0;
  for (const auto& candidate : made.candidates) {
    CHECK(candidate.finished_score.has_value() == (candidate.score >= drafts[1]));
    finished += candidate.finished_score.has_value();
  }
  CHECK(finished == 2);
  CHECK(made.result.scores[0] >= made.result.scores[1]);
  order.on_step = {};
  order.sampling.seed = made.result.seeds[0];
  CHECK(same_pixels(emoji().generate(order).images[0], made.result.images[0]));
  CHECK(made.result.infotexts[0].find("Steps: 3, ") != std::string::npos);
  CHECK(made.result.infotexts[0].find("Draft steps: 1, ") != std::string::npos);
}

TEST_CASE("what the judge is told", "[best_of]") {
  std::set<std::string> told;
  const auto judge = PictureJudge::from("listener", [&](std::string_view prompt, const Image&) {
    told.insert(std::string(prompt));
    return 0.0;
  });
  auto order = small_order("(red:1.2) [green:apple:0.5]");
  order.sampling.steps = 1;
  order.prompt_syntax = PromptSyntax::a1111;
  const auto made = best_of(emoji(), order, judge, {.candidates = 2});
  CHECK(made.result.seeds == std::vector<std::uint64_t>{40});  // of equal ones the first
  order.prompt_syntax = PromptSyntax::comfyui;
  order.prompt = "(red) apple";
  best_of(emoji(), order, judge, {.candidates = 1});
  best_of(emoji(), order, judge, {.candidates = 1, .prompt = "a fruit"});
  CHECK(told == std::set<std::string>{"red apple", "a fruit"});

  // Variations of one picture count on the other seed.
  order.sampling.variation_strength = 0.5;
  order.sampling.variation_seed = 7;
  const auto varied = best_of(emoji(), order, brightness(), {.candidates = 3});
  CHECK(varied.candidates[2].seed == 9);
  CHECK(varied.result.seeds[0] == 40);
}

TEST_CASE("a best of that is not possible says why", "[best_of]") {
  const auto refused = [&](const Request& order, const BestOfOptions& options, const char* why) {
    expect_error<ArgumentError>([&] { best_of(emoji(), order, brightness(), options); }, {"[best_of]", why});
  };
  auto order = small_order();
  refused(order, {.candidates = 0}, "0 candidates, expected 1 to 10000");
  refused(order, {.candidates = 100'000}, "100000 candidates");
  refused(order, {.candidates = 2, .keep = 3}, "3 pictures to keep of 2 candidates");
  refused(order, {.keep = 0}, "0 pictures to keep");
  refused(order, {.draft_steps = 3}, "draft_steps is 3, expected 1 to 2");
  refused(order, {.draft_steps = 0}, "draft_steps is 0");
  order.sampling.timesteps = {900.0, 500.0, 100.0};
  refused(order, {.draft_steps = 1}, "draft_steps and timesteps");
  order.sampling.timesteps.clear();
  order.output.count = 2;
  refused(order, {}, "one picture's candidates");
  order.output.count.reset();
  order.sampling.noise = Tensor<float>::zeros({1, 16, 16, 4});
  refused(order, {}, "all candidates would be alike");
  order = small_order();
  order.sampling.steps = 1;

  const auto with = [](PictureJudge::Function function) {
    return PictureJudge::from("mine", std::move(function));
  };
  int calls = 0;
  const auto nan = with([&](std::string_view, const Image&) {
    return ++calls == 2 ? std::numeric_limits<double>::quiet_NaN() : 1.0;
  });
  expect_error<NumericError>([&] { best_of(emoji(), order, nan, {}); },
                             {"[best_of] candidate 1 (seed 41)", "mine gave nan"});
  const auto broken =
      with([](std::string_view, const Image&) -> double { throw std::runtime_error("no idea"); });
  expect_error<Error>([&] { best_of(emoji(), order, broken, {}); },
                      {"candidate 0 (seed 40)", "the judge mine failed: no idea"});
  const auto tired =
      with([](std::string_view, const Image&) -> double { throw Cancelled("mine", "enough"); });
  expect_error<Cancelled>([&] { best_of(emoji(), order, tired, {}); }, {"[mine] enough"});
  expect_error<Cancelled>(
      [&] {
        best_of(emoji(), order, brightness(),
                {.candidates = 8, .on_progress = [](const auto& now) { return now.picture < 4; }});
      },
      {"step callback"});
  expect_error<ArgumentError>([&] { with({}); }, {"function is empty"});
  std::stop_source stop;
  stop.request_stop();
  order.stop = stop.get_token();
  CHECK_THROWS_AS(best_of(emoji(), order, brightness(), {}), Cancelled);
}

TEST_CASE("judges that are none are refused", "[best_of]") {
  const auto load = [](const std::string& judge) { return PictureJudge::load(judge, {.threads = 1}); };
  for (const char* wrong : {"", "clip", "clip:", "hps", "hpsx:a", "CLIP:a", "/a/folder"})
    expect_error<ArgumentError>([&] { load(wrong); }, {"is not clip:PATH or hps:PATH"});
  expect_error<FileError>([&] { load("clip:/nowhere/at/all"); }, {"/nowhere/at/all"});
  expect_error<FileError>([&] { load("clip:" + shipped("emoji").string()); },
                          {"no CLIP model", "a model that makes pictures"});
  expect_error<FileError>([&] { load("hps:" + fs::path(DAGUERRE_TEST_DATA).string()); }, {"found neither"});
  expect_error<ConfigError>([&] { load("clip:" + (shipped("emoji") / "text_encoder").string()); },
                            {"CLIPTextModel", "is not CLIPModel"});
  expect_error<WeightError>(
      [&] { load("clip:" + (shipped("emoji") / "vae" / "diffusion_pytorch_model.safetensors").string()); },
      {"no CLIP model of text and vision", "found"});
  expect_error<WeightError>(
      [&] { load("clip:" + (shipped("emoji") / "text_encoder" / "model.safetensors").string()); },
      {"vision_model.embeddings.class_embedding is not there"});
  // Heads of 64 channels are not in towers so narrow: such a file needs a configuration.
  expect_error<ConfigError>(
      [&] {
        PictureJudge::load("hps:" + (test::golden("metrics/hpsv2") / "weights.safetensors").string(),
                           {.tokenizer = test::golden("metrics/hpsv2") / "tokenizer"});
      },
      {"heads must divide widths"});
  const auto result = PictureJudge::try_load("clip:");
  CHECK_FALSE(result.has_value());
}

TEST_CASE("a folder of open_clip's is a judge", "[best_of]") {
  const auto golden = test::golden("metrics/hpsv2");
  const test::TempFolder folder;
  for (const char* file : {"vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"})
    fs::copy_file(golden / "tokenizer" / file, folder / file);
  fs::copy_file(golden / "weights.safetensors", folder / "open_clip_model.safetensors");
  const auto recorded = Config::load(golden / "config.json");
  const auto write = [&](const std::string& preprocessing) {
    std::ofstream(folder / "open_clip_config.json")
        << "{\"model_cfg\": {\"embed_dim\": 16, \"vision_cfg\": " << *recorded.json("vision_cfg")
        << ", \"text_cfg\": " << *recorded.json("text_cfg") << "}, \"preprocess_cfg\": " << preprocessing
        << "}";
  };
  std::vector<Image> pictures;
  for (int i = 0; i < 5; ++i)
    pictures.push_back(Image::load(golden / ("image_" + std::to_string(i) + ".png")).to_channels(3));
  const auto texts = recorded.require_strings("texts");
  const auto io = weights::SafetensorsFile::open(golden / "io.safetensors");
  const auto check = [&](const std::string& judge_kind, const std::string& output, double weight) {
    const auto judge = PictureJudge::load(judge_kind + ":" + folder.path().string(),
                                          {.precision = Precision::float32, .threads = 1});
    const auto expected = io.read<float>(output);
    for (std::size_t i = 0; i < 5; ++i)
      CHECK(judge.score(texts[i], std::span(pictures).subspan(i, 1))[0] ==
            Approx(weight * static_cast<double>(expected.data()[i])).epsilon(1e-4));
    CHECK(judge.name().starts_with(judge_kind + ":"));
    const auto embeddings = judge.embed_pictures(pictures);
    CHECK(metrics::cosine_matrix(embeddings, judge.embed_texts(texts)).shape() == Shape{5, 5});
  };
  write(
      "{\"mode\": \"RGB\", \"interpolation\": \"bicubic\", \"resize_mode\": \"shortest\", \"size\": 28, "
      "\"fill_color\": 0, \"mean\": [0.48145466, 0.4578275, 0.40821073], \"std\": [0.26862954, 0.26130258, "
      "0.27577711]}");
  check("hps", "out.hps", 1.0);
  const auto strict = PictureJudge::load("hps:" + folder.path().string());
  expect_error<ArgumentError>([&] { (void)strict.scorer("a line")(Image(16384, 1, 3)); },
                              {"16384 x 1", "at most 100 times"});
  write("{\"resize_mode\": \"longest\"}");
  check("hps", "out.hps_longest", 1.0);
  write("{\"resize_mode\": \"longish\"}");
  expect_error<ConfigError>([&] { PictureJudge::load("hps:" + folder.path().string()); },
                            {"\"longish\"", "shortest, longest and squash"});
}

TEST_CASE("changes of pictures and of texts have directions", "[best_of][metrics]") {
  const auto rows = [](std::initializer_list<double> values) {
    return Tensor<double>::copy_of({1, 2}, {values.begin(), values.size()});
  };
  const auto right = rows({2.0, 0.0}), up = rows({0.0, 5.0}), left = rows({-1.0, 0.0});
  CHECK(metrics::directional_similarity(right, up, right, up)[0] == Approx(1.0));
  CHECK(metrics::directional_similarity(right, up, up, right)[0] == Approx(-1.0));
  CHECK(metrics::directional_similarity(right, up, right, left)[0] == Approx(std::sqrt(0.5)));
  CHECK_THROWS_AS(metrics::directional_similarity(right, right, right, up), ArgumentError);
  CHECK(metrics::cosine_matrix(right, left).data()[0] == Approx(-1.0));
  CHECK_THROWS_AS(metrics::cosine_matrix(right, Tensor<double>::zeros({1, 3})), ArgumentError);
}

TEST_CASE("the emoji model's judge tells its pictures apart", "[best_of][emoji]") {
  const std::vector<std::string> names{"red heart", "green apple", "grinning face", "blue book",
                                       "sunflower", "house",       "rocket",        "pig face"};
  std::vector<Image> pictures;
  for (const auto& name : names) {
    auto order = small_order(name);
    order.sampling.steps = 4;
    pictures.push_back(emoji().generate(order).images[0]);
  }
  const auto cosines =
      metrics::cosine_matrix(emoji_judge().embed_texts(names), emoji_judge().embed_pictures(pictures));
  for (Index i = 0; i < cosines.dim(0); ++i) {
    INFO(names[static_cast<std::size_t>(i)]);
    const auto row = cosines[i].span();
    CHECK(std::max_element(row.begin(), row.end()) - row.begin() == i);
    CHECK(emoji_judge().score(names[static_cast<std::size_t>(i)],
                              std::span(pictures).subspan(static_cast<std::size_t>(i), 1))[0] ==
          Approx(100.0 * row[static_cast<std::size_t>(i)]));
  }
}
