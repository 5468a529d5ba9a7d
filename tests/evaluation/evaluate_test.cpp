// Sets of pictures, features in chunks, statistics, and the figures made of them.
#include "daguerre/evaluation/evaluate.hpp"

#include <cmath>
#include <fstream>
#include <limits>
#include <random>

#include "daguerre/evaluation/picture_measures.hpp"
#include "daguerre/metrics/frechet_distance.hpp"
#include "daguerre/metrics/mean_interval.hpp"
#include "daguerre/pipeline/picture_judge.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "evaluation/npz.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::evaluation;
using test::expect_error;
using test::TempFolder;
namespace fs = std::filesystem;

namespace {

/// The CLIP that ships with the emoji model.
const std::string& emoji_judge() {
  static const std::string path = "clip:" + (fs::path(DAGUERRE_TEST_DATA).parent_path().parent_path() /
                                             "examples" / "models" / "emoji-judge")
                                                .string();
  return path;
}

const FeatureNetwork& judge_features() {
  static const auto network = FeatureNetwork::load(emoji_judge(), {.threads = 2});
  return network;
}

/// A picture that no other number has.
Image numbered_picture(int number, Index side = 12) {
  Image image(side, side, 3);
  std::mt19937 random(static_cast<unsigned>(number));
  for (auto& value : image.pixels()) value = static_cast<std::uint8_t>(random() >> 24);
  return image;
}

/// `count` pictures in a folder, of numbers from `first` on.
void write_pictures(const fs::path& folder, int count, int first = 0) {
  fs::create_directories(folder);
  for (int i = 0; i < count; ++i)
    numbered_picture(first + i).save_png(folder / ("p" + std::to_string(10 + i) + ".png"));
}

std::string from_hex(std::string_view hex) {
  std::string result;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    result += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return result;
}

/// Python's zipfile, of an array arr_0 [2, 2, 3, 3] of 0 to 35: deflated, with ZIP64's sizes.
constexpr std::string_view compressed_pictures =
    "504b03042d00000008000000210081e5bfcbffffffffffffffff090014006172725f302e6e707901001000a400000000"
    "0000006d000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a05e536aa8aea3a09e965f54529498179f"
    "5f94920a12774bcc294e058a17672416a402f91a463a0a40640c449a3a0ab50a64002e06462666165636760e4e2e6e1e"
    "5e3e7e014121611151317109492969195939790545256500504b01022d032d00000008000000210081e5bfcb6d000000"
    "a40000000900000000000000000000008001000000006172725f302e6e7079504b0506000000000100010037000000a8"
    "0000000000";

/// The same of [12, 16, 16, 3] zeros: a stream whose last symbol is its last byte.
constexpr std::string_view compressed_zeros =
    "504b030414000000080000002100260151a67300000080240000090000006172725f302e6e7079edc8310e82401445d1a175"
    "15bffb9a4c339058b8003b890d859599c0100b2366066d8055b06131aec092e49ee415efce65753a5f32f336833621d5510f"
    "a2e3cba9156dbbd847ffb876b109df7ef4f714969e6efe1996bf75b915b7ffadd85999e45f1b030000000000000000000000"
    "0060b53e504b0102140314000000080000002100260151a67300000080240000090000000000000000000000800100000000"
    "6172725f302e6e7079504b05060000000001000100370000009a0000000000";

Tensor<float> normal_rows(Index count, Index columns, unsigned seed, double shift = 0.0) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  Tensor<float> result({count, columns});
  for (float& value : result.span()) value = static_cast<float>(normal(random) + shift);
  return result;
}

}  // namespace

TEST_CASE("a set of pictures is a folder by name, with those in it", "[evaluation]") {
  const TempFolder temp;
  write_pictures(temp / "set", 2);
  write_pictures(temp / "set/a", 1, 7);
  write_pictures(temp / "set/.hidden", 1, 8);
  temp.write("set/p11.txt", "a red fox\n");
  temp.write("set/notes.md", "no picture");
  temp.write("set/q.JPG", "no picture either");
  const auto set = PictureSet::open(temp / "set");
  REQUIRE(set.size() == 4);
  CHECK(set.name(0) == "a/p10.png");
  CHECK(set.name(2) == "p11.png");
  CHECK(set.name(3) == "q.JPG");
  CHECK(set.prompt(2) == "a red fox");
  CHECK_FALSE(set.prompt(0).has_value());
  CHECK(std::ranges::equal(set.read(0).pixels(), numbered_picture(7).pixels()));
  CHECK_THROWS_AS(set.read(3), FormatError);
  expect_error<ArgumentError>([&] { set.read(4); }, {"no picture 4 of 4"});
  const auto two = set.first(2);
  CHECK(two.size() == 2);
  CHECK(two.fingerprint() != set.fingerprint());
  const auto before = set.fingerprint();
  CHECK(PictureSet::open(temp / "set").fingerprint() == before);
  write_pictures(temp / "set", 3, 20);
  CHECK(PictureSet::open(temp / "set").fingerprint() != before);

  fs::create_directory(temp / "empty");
  expect_error<ArgumentError>([&] { PictureSet::open(temp / "empty"); }, {"empty", "no pictures"});
  expect_error<FileError>([&] { PictureSet::open(temp / "nowhere"); }, {"nowhere", "is not there"});
  expect_error<ArgumentError>([&] { PictureSet::open(temp / "set/notes.md"); }, {"expected a folder"});
}

TEST_CASE("a set of pictures is numpy's array", "[evaluation]") {
  const TempFolder temp;
  const auto file = from_hex(compressed_pictures);
  const auto set = PictureSet::open(temp.write("a.npz", file));
  REQUIRE(set.size() == 2);
  CHECK(set.name(1) == "arr_0[1]");
  const auto picture = set.read(1);
  CHECK((picture.width() == 3 && picture.height() == 2 && picture.channels() == 3));
  CHECK(picture.pixels()[0] == 18);
  CHECK(picture.pixels()[17] == 35);

  const auto zeros = PictureSet::open(temp.write("zeros.npz", from_hex(compressed_zeros)));
  REQUIRE(zeros.size() == 12);
  CHECK(zeros.read(11).pixels()[16 * 16 * 3 - 1] == 0);

  // Whatever is cut off or changed is refused or reads as something; nothing else happens.
  for (std::size_t size = 0; size < file.size(); size += 3)
    CHECK_THROWS_AS(PictureSet::open(temp.write("b.npz", file.substr(0, size))), Error);
  for (std::size_t i = 0; i < file.size(); i += 2) {
    auto changed = file;
    changed[i] = static_cast<char>(changed[i] ^ 0x5A);
    try {
      const auto other = PictureSet::open(temp.write("c.npz", changed));
      for (Index n = 0; n < std::min<Index>(other.size(), 4); ++n) other.read(n);
    } catch (const Error&) {
    }
  }
  save_npz(temp / "d.npz", {{"arr_0", Tensor<double>::zeros({2, 2, 2, 3})}});
  expect_error<FormatError>([&] { PictureSet::open(temp / "d.npz"); }, {"<f8", "expected [N, H, W, 3]"});
}

TEST_CASE("statistics are kept as pytorch-fid's and as their own files", "[evaluation]") {
  const TempFolder temp;
  const auto& network = judge_features();
  const auto rows = normal_rows(40, network.dimension(), 1);
  FeatureStatisticsFile statistics;
  statistics.gaussian = metrics::FeatureStatistics::of(rows).gaussian();
  statistics.count = 40;
  statistics.kind = network.kind();
  statistics.definition = network.definition();
  statistics.fingerprint = network.fingerprint();
  statistics.save(temp / "s.npz");
  statistics.save(temp / "s.safetensors");
  for (const char* name : {"s.npz", "s.safetensors"}) {
    CHECK(is_statistics_file(temp / name));
    const auto read = FeatureStatisticsFile::load(temp / name);
    CHECK(std::ranges::equal(read.gaussian.mean.span(), statistics.gaussian.mean.span()));
    CHECK(std::ranges::equal(read.gaussian.covariance.span(), statistics.gaussian.covariance.span()));
  }
  const auto read = FeatureStatisticsFile::load(temp / "s.safetensors");
  CHECK(read.count == 40);
  CHECK(read.check(network).empty());
  const auto unnamed = FeatureStatisticsFile::load(temp / "s.npz");
  CHECK(unnamed.check(network).find("does not say which network") != std::string::npos);

  auto other = read;
  other.fingerprint = std::string(64, '0');
  expect_error<ArgumentError>([&] { other.check(network); },
                              {"s.safetensors", "another network", "000000000000"});
  other.kind = "pytorch-fid";
  expect_error<ArgumentError>([&] { other.check(network); }, {"pytorch-fid, expected clip"});
  other.gaussian = {Tensor<double>::zeros({3}), Tensor<double>::zeros({3, 3})};
  expect_error<ArgumentError>([&] { other.check(network); }, {"3 features"});

  save_npz(temp / "t.npz", {{"mu", Tensor<double>::zeros({3})}, {"sigma", Tensor<double>::zeros({3, 2})}});
  expect_error<FormatError>([&] { FeatureStatisticsFile::load(temp / "t.npz"); }, {"t.npz", "[3, 2]"});
  save_npz(temp / "u.npz",
           {{"mu", Tensor<double>::full({1}, std::nan(""))}, {"sigma", Tensor<double>::zeros({1, 1})}});
  expect_error<FormatError>([&] { FeatureStatisticsFile::load(temp / "u.npz"); }, {"u.npz", "nan"});
  save_npz(temp / "v.npz", {{"mu", Tensor<double>::zeros({1})}});
  expect_error<FormatError>([&] { FeatureStatisticsFile::load(temp / "v.npz"); }, {"no array \"sigma\""});
}

TEST_CASE("features that were stopped go on to the same figure", "[evaluation]") {
  const TempFolder temp;
  write_pictures(temp / "a", 11);
  write_pictures(temp / "b", 9, 30);
  temp.write("a/p13.png", "damaged");
  const auto& network = judge_features();
  const auto a = PictureSet::open(temp / "a"), b = PictureSet::open(temp / "b");
  JobOptions job;
  job.chunk = 3;
  job.batch = 2;
  const auto whole = evaluate_frechet_distance(a, b, network, job);
  REQUIRE(whole.figures.size() == 1);
  CHECK(whole.figures[0].name == "Frechet distance");
  CHECK(whole.figures[0].value > 0.0);
  CHECK(*whole.figures[0].low < whole.figures[0].value);
  CHECK(*whole.figures[0].high > whole.figures[0].value);
  CHECK(whole.figures[0].definition.find("10 pictures against 9 pictures") != std::string::npos);
  REQUIRE(whole.unreadable.size() == 1);
  CHECK(whole.unreadable[0].name == "a/p13.png");
  CHECK(whole.warnings.size() == 2);  // fewer pictures than dimensions, on both sides

  job.work = temp / "work";
  std::stop_source stop;
  job.stop = stop.get_token();
  job.on_chunk = [&](Index done, Index total) {
    CHECK(total == 4);
    if (done == 2) stop.request_stop();
  };
  CHECK_THROWS_AS(run_features(a, network, job), Cancelled);
  job.stop = {};
  std::vector<Index> told;
  job.on_chunk = [&](Index done, Index) { told.push_back(done); };
  const auto rest = run_features(a, network, job);
  CHECK(told == std::vector<Index>{2, 3, 4});
  CHECK(rest.count() == 10);
  CHECK(rest.items() == std::vector<Index>{0, 1, 2, 4, 5, 6, 7, 8, 9, 10});
  job.on_chunk = {};
  CHECK(evaluate_frechet_distance(a, b, network, job).figures[0].value == whole.figures[0].value);
  CHECK(evaluate_frechet_distance(a, b, network, job).figures[0].high == whole.figures[0].high);

  // What the set's statistics say is the same as the set.
  const auto statistics = gather_statistics(b, network, job).statistics;
  CHECK(evaluate_frechet_distance(a, statistics, network, job).figures[0].value == whole.figures[0].value);
  const auto both = evaluate_frechet_distance(statistics, statistics, network, job);
  CHECK(both.figures[0].value == Approx(0.0).margin(1e-6));
  CHECK_FALSE(both.figures[0].low.has_value());

  CHECK(evaluate_kernel_distance(a, b, network, {}, job).warnings.size() == 1);
  const auto found = evaluate_precision_recall(a, b, network, 3, job);
  REQUIRE(found.figures.size() == 3);
  CHECK((found.figures[0].value >= 0.0 && found.figures[0].value <= 1.0));
  expect_error<ArgumentError>([&] { evaluate_inception_score(a, network, {}, job); }, {"classifies", "clip"});
  temp.write("c/p.png", "damaged");
  expect_error<ArgumentError>([&] { run_features(PictureSet::open(temp / "c"), network, job); },
                              {"none of 1 pictures can be read", "p.png"});
}

TEST_CASE("pictures measured as they are made have the figures of a set", "[evaluation]") {
  const TempFolder temp;
  write_pictures(temp / "a", 6);
  write_pictures(temp / "b", 7, 30);
  temp.write("b/p11.png", "damaged");
  const auto a = PictureSet::open(temp / "a"), b = PictureSet::open(temp / "b");
  const auto path = emoji_judge().substr(std::string("clip:").size());
  const MeasureOptions options{.network = {.threads = 2}, .reference = temp / "b"};
  const auto load = [&](std::vector<std::string> names) { return PictureMeasures::load(names, options); };
  const auto measures = load({"cmmd:" + path, "fid:cmmd:" + path, "fid:clip:" + path, "pr:cmmd:" + path});
  const auto work = [&](Index begin, Index end) {
    ChunkValues chunk;
    std::vector<Image> pictures;
    for (Index i = begin; i < end; ++i) {
      chunk.items.push_back(i);
      pictures.push_back(a.read(i));
    }
    measures.look(pictures, {}, "", chunk);
    return chunk;
  };
  const auto results = run_chunks(measures.settings(), a.size(), work, {.chunk = 4});
  const auto found = measures.distribution_figures(results, "");
  REQUIRE(found.figures.size() == 6);
  const auto network = FeatureNetwork::load("cmmd:" + path, {.threads = 2});
  const auto same = [&](const Figure& figure, const Figure& expected) {
    CHECK(figure.value == Approx(expected.value).epsilon(1e-6).margin(1e-9));
    CHECK(figure.definition == expected.definition);
    CHECK(figure.low.has_value() == expected.low.has_value());
  };
  same(found.figures[0], evaluate_cmmd(a, b, network).figures[0]);
  same(found.figures[1], evaluate_frechet_distance(a, b, network).figures[0]);
  same(found.figures[4], evaluate_precision_recall(a, b, network).figures[1]);
  CHECK(found.figures[0].name == "CMMD");
  CHECK(found.figures[1].name == "Frechet distance (cmmd)");
  CHECK(found.figures[2].name == "Frechet distance (clip)");
  REQUIRE(measures.about_reference().unreadable.size() == 1);
  CHECK(measures.about_reference().unreadable[0].name == "b/p11.png");

  // What is kept of pictures is part of what a job is.
  CHECK(load({"clip:" + path}).settings() != load({"clip:" + path, "fid:clip:" + path}).settings());
  CHECK(load({"fid:clip:" + path}).settings() == load({"kid:clip:" + path}).settings());
  expect_error<FormatError>([&] { results.tensor("logits.0"); }, {"no \"logits.0\" of its items"});
  expect_error<FormatError>([&] { results.values("cosine.0"); }, {"no \"cosine.0\" of its items"});
  expect_error<ArgumentError>([&] { load({"is:clip:" + path}); }, {"classifies", "clip"});
}

TEST_CASE("scores of pictures and prompts are the judge's", "[evaluation]") {
  const TempFolder temp;
  write_pictures(temp / "a", 5);
  const auto set = PictureSet::open(temp / "a");
  const std::vector<std::string> prompts{"red apple", "house", "house", "fox", "a cat"};
  const auto report = evaluate_clip_score(set, prompts, judge_features(), {.chunk = 2});
  REQUIRE(report.figures.size() == 2);
  const auto judge = PictureJudge::load(emoji_judge(), {.precision = Precision::float32, .threads = 1});
  double mean = 0.0, clamped = 0.0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto picture = set.read(static_cast<Index>(i));
    const double score = judge.score(prompts[i], std::span(&picture, 1))[0];
    mean += score / 5.0;
    clamped += std::max(score, 0.0) / 40.0 / 5.0;
  }
  CHECK(report.figures[0].value == Approx(std::max(mean, 0.0)).epsilon(1e-4).margin(1e-4));
  CHECK(report.figures[1].value == Approx(clamped).epsilon(1e-4).margin(1e-5));
  CHECK(report.figures[1].low.has_value());
  expect_error<ArgumentError>(
      [&] { evaluate_clip_score(set, std::span(prompts).first(4), judge_features()); },
      {"4 prompts and 5 pictures", "do not match"});
  CHECK(evaluate_hps(set, prompts, judge_features()).warnings.size() == 1);

  write_pictures(temp / "b", 5, 50);
  const std::vector<std::string> after{"green apple", "red house", "fox", "blue fox", "a dog"};
  const auto change =
      evaluate_directional(set, PictureSet::open(temp / "b"), prompts, after, judge_features());
  CHECK(std::abs(change.figures[0].value) <= 1.0);
  const auto none = evaluate_directional(set, set, prompts, after, judge_features());
  CHECK(none.figures[0].value == 0.0);
  CHECK(none.warnings.size() == 1);
  expect_error<ArgumentError>([&] { FeatureNetwork::load("clip"); }, {"is none of pytorch-fid:PATH"});
  expect_error<ArgumentError>([&] { FeatureNetwork::load("vgg:x"); }, {"is none of"});
}

TEST_CASE("pairs of pictures are compared in order", "[evaluation]") {
  const TempFolder temp;
  write_pictures(temp / "a", 4);
  write_pictures(temp / "b", 4);
  const auto a = PictureSet::open(temp / "a"), same = PictureSet::open(temp / "b");
  const auto equal = evaluate_pairs(a, same, psnr_measure(), {}, {.chunk = 3});
  CHECK(std::isinf(equal.figures[0].value));
  CHECK(equal.json().find("\"inf\"") != std::string::npos);
  CHECK(evaluate_pairs(a, same, ssim_measure()).figures[0].value == Approx(1.0));
  write_pictures(temp / "b", 4, 40);
  const auto other = PictureSet::open(temp / "b");
  const auto unlike = evaluate_pairs(a, other, ssim_measure(true));
  CHECK(unlike.figures[0].value < 0.5);
  CHECK(*unlike.figures[0].low <= unlike.figures[0].value);
  expect_error<ArgumentError>([&] { evaluate_pairs(a, other.first(3), psnr_measure()); },
                              {"4 pictures", "3 pictures", "do not match"});
  numbered_picture(1, 14).save_png(temp / "b/p12.png");
  expect_error<ArgumentError>([&] { evaluate_pairs(a, PictureSet::open(temp / "b"), psnr_measure()); },
                              {"PSNR of p12.png", "12 x 12 and 14 x 14"});
}

TEST_CASE("a report says all it has", "[evaluation]") {
  Report report;
  report.figures.push_back({"CLIP score", "", 31.25, 30.5, 32.0, {}, "clip: x"});
  report.figures.push_back({"CLIP score", "Colors", 30.0, {}, {}, 0.5, "clip: x"});
  report.warnings.push_back("few");
  report.unreadable.push_back({"a.png", "is no \xff picture"});
  Report twice = report;
  twice.append(report);
  CHECK(twice.figures.size() == 4);
  CHECK((twice.warnings.size() == 1 && twice.unreadable.size() == 1));
  const auto json = report.json();
  for (const char* part : {"\"value\": 31.25", "\"low\": 30.5", "\"category\": \"Colors\"",
                           "\"deviation\": 0.5", "\"why\": \"is no"})
    CHECK(json.find(part) != std::string::npos);
  const auto table = report.table();
  for (const char* part :
       {"all", "Colors", "31.25 [30.5, 32]", "30 +- 0.5", "clip: x", "warning: few", "cannot be read: a.png"})
    CHECK(table.find(part) != std::string::npos);
}

TEST_CASE("means and distances have the intervals of their kind", "[metrics]") {
  const std::pair<Index, double> known[] = {
      {1, 12.706205}, {2, 4.302653}, {9, 2.262157}, {30, 2.042272}, {500, 1.964720}};
  for (const auto& entry : known)
    CHECK(metrics::student_t_975(entry.first) == Approx(entry.second).epsilon(1e-6));
  const double values[] = {1.0, 2.0, 3.0, 4.0};
  const auto interval = metrics::mean_interval(values);
  CHECK(interval.mean == 2.5);
  CHECK(interval.standard_error == Approx(std::sqrt(5.0 / 3.0 / 4.0)));
  CHECK(interval.high - interval.mean == Approx(3.182446 * interval.standard_error).epsilon(1e-6));

  // Many samples: the jackknife over groups finds the same.
  const auto samples = normal_rows(600, 5, 3), reference = normal_rows(600, 5, 4, 0.3);
  const auto target = metrics::FeatureStatistics::of(reference).gaussian();
  metrics::FrechetInfluence influence(metrics::FeatureStatistics::of(samples).gaussian(), target);
  influence.add(samples.slice(0, 250));
  influence.add(samples.slice(250, 600));
  const auto grouped = metrics::estimate_frechet_distance(samples, target);
  CHECK(influence.value() == Approx(grouped.value).epsilon(1e-12));
  CHECK(influence.standard_error() == Approx(grouped.standard_error).epsilon(0.25));
  // Fewer samples than features.
  const auto few = normal_rows(6, 10, 5);
  metrics::FrechetInfluence singular(metrics::FeatureStatistics::of(few).gaussian(),
                                     metrics::FeatureStatistics::of(normal_rows(40, 10, 6)).gaussian());
  singular.add(few);
  CHECK(std::isfinite(singular.standard_error()));
  CHECK(singular.standard_error() > 0.0);
}
