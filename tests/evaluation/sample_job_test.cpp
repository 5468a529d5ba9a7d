// Many pictures as a job: each is the one that it would be alone, files are the same however the job went.
#include "daguerre/evaluation/sample_job.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/chunk_folder.hpp"
#include "daguerre/evaluation/file_fingerprint.hpp"
#include "daguerre/evaluation/process_group.hpp"
#include "daguerre/evaluation/shard_reader.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"

using namespace daguerre;
using namespace daguerre::evaluation;
using namespace daguerre::test;

namespace {

const std::filesystem::path models = DAGUERRE_TEST_DATA "/golden/pipelines";

Pipeline small_model(const char* name) {
  return Pipeline::load(models / name, {.precision = Precision::float32, .engine = "native", .threads = 1});
}

Request small_request() {
  Request request;
  request.size = {.width = 16, .height = 16};
  request.sampling.steps = 2;
  return request;
}

const std::vector<SuitePrompt> prompts{{"a cat", "animals"}, {"a \"house\"", ""}};

/// All files of a folder, by name.
std::map<std::string, std::string> files_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files[entry.path().filename().string()] = read_file(entry.path());
  return files;
}

/// Gives chunks to two processes' work in turn, the later ones first.
class Backwards : public ProcessGroup {
 public:
  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 1; }
  void share_out(Index count, const std::function<void(Index)>& work) override {
    while (count-- > 0) work(count);
  }
  void barrier() override {}
  std::string broadcast(std::string text) override { return text; }
};

}  // namespace

TEST_CASE("items take prompts and classes in turn, with seeds that follow each other") {
  const auto items = sample_items(prompts, 5, 40);
  REQUIRE(items.size() == 5);
  CHECK(items[4].prompt == "a cat");
  CHECK(items[4].category == "animals");
  CHECK(items[4].seed == 44);
  CHECK(items[3].prompt == "a \"house\"");
  const std::vector<std::int32_t> classes{7, 3};
  CHECK(sample_items(classes, 3, 0)[1].class_label == 3);
  CHECK_THROWS_AS(sample_items(std::vector<SuitePrompt>(), 1, 0), ArgumentError);
  CHECK_THROWS_AS(sample_items(prompts, 0, 0), ArgumentError);
  CHECK(sample_items(prompts, 1, ~std::uint64_t{0}).front().seed == ~std::uint64_t{0});
  CHECK_THROWS_AS(sample_items(prompts, 2, ~std::uint64_t{0}), ArgumentError);
}

TEST_CASE("a job's pictures are those of single runs, and its files the same however it went") {
  const auto pipeline = small_model("sd1");
  auto items = sample_items(std::span(prompts).first(1), 3, 5);  // one run of three
  const auto more = sample_items(prompts, 4, 9);
  items.insert(items.end(), more.begin(), more.end());
  items.back().negative_prompt = "fog";
  const SampleJob job(pipeline, small_request(), items, {.chunk = 4});
  CHECK(job.chunks() == 2);
  std::vector<SampledPicture> pictures;
  for (Index chunk = 0; chunk < 2; ++chunk)
    for (auto& picture : job.make(chunk)) pictures.push_back(std::move(picture));
  REQUIRE(pictures.size() == 7);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    auto request = small_request();
    request.prompt = items[i].prompt;
    request.negative_prompt = items[i].negative_prompt;
    request.sampling.seed = items[i].seed;
    const auto alone = pipeline.generate(request);
    CHECK(pictures[i].index == static_cast<Index>(i));
    CHECK(std::ranges::equal(pictures[i].image.pixels(), alone.images.front().pixels()));
    CHECK(pictures[i].settings == alone.infotexts.front());
  }

  const TempFolder temp;
  const auto group = alone();
  const ChunkFolder folder(temp / "a", job.description(), *group);
  int chunks = 0;
  sample_to_folder(job, *group, folder, SampleLayout::shards, [&] { ++chunks; });
  CHECK(chunks == 2);
  CHECK(sampled(job, folder, SampleLayout::shards) == 7);
  const auto files = files_of(temp / "a");
  REQUIRE(files.size() == 4);
  const auto shard = ShardReader::open(temp / "a" / "shard-000001.tar");
  REQUIRE(shard.entries().size() == 9);
  CHECK(shard.entries()[0].name == "000004.png");
  const auto png = shard.read(shard.entries()[0]);
  CHECK(std::ranges::equal(Image::decode(png).pixels(), pictures[4].image.pixels()));
  CHECK(decode_png_text(png) == PngText{{"parameters", pictures[4].settings}});
  CHECK(shard.read_text(*shard.beside(shard.entries()[0], ".txt")) == items[4].prompt);
  // The index: a line a picture, which leads to its bytes.
  std::istringstream index(files.at("index.jsonl"));
  Index lines = 0;
  for (std::string text; std::getline(index, text); ++lines) {
    const auto line = nlohmann::json::parse(text);
    const auto& item = items[static_cast<std::size_t>(lines)];
    CHECK(line.at("prompt") == item.prompt);
    CHECK(line.at("seed") == item.seed);
    CHECK(line.value("category", "") == item.category);
    CHECK(line.value("negative_prompt", "") == item.negative_prompt.value_or(""));
    CHECK(line.at("width") == 16);
    CHECK(line.at("height") == 16);
    const auto bytes = files.at(line.at("shard")).substr(line.at("offset"), line.at("size"));
    const auto image = Image::decode(std::as_bytes(std::span(bytes)));
    CHECK(std::ranges::equal(image.pixels(), pictures[static_cast<std::size_t>(lines)].image.pixels()));
  }
  CHECK(lines == 7);

  // Goes on behind a chunk, in another order; a shard that was damaged meanwhile is named.
  std::filesystem::remove(temp / "a" / "index.jsonl");
  std::filesystem::remove(temp / "a" / "shard-000000.tar");
  CHECK(sampled(job, folder, SampleLayout::shards) == 3);
  sample_to_folder(job, *group, folder, SampleLayout::shards);
  CHECK(files_of(temp / "a") == files);
  Backwards backwards;
  const ChunkFolder other(temp / "b", job.description(), backwards);
  sample_to_folder(job, backwards, other, SampleLayout::shards);
  CHECK(files_of(temp / "b") == files);
  std::filesystem::copy_file(temp / "b" / "shard-000000.tar", temp / "b" / "shard-000001.tar",
                             std::filesystem::copy_options::overwrite_existing);
  expect_error<FormatError>([&] { sample_to_folder(job, *group, other, SampleLayout::shards); },
                            {"shard-000001.tar", "does not hold the pictures of its chunk"});

  // Loose pictures are the same bytes.
  const ChunkFolder loose(temp / "c", job.description(), *group);
  sample_to_folder(job, *group, loose, SampleLayout::loose);
  const auto loose_files = files_of(temp / "c");
  CHECK(loose_files.size() == 9);
  CHECK(loose_files.at("000004.png") == shard.read_text(shard.entries()[0]));
  std::filesystem::remove(temp / "c" / "000005.png");
  CHECK(sampled(job, loose, SampleLayout::loose) == 6);
  sample_to_folder(job, *group, loose, SampleLayout::loose);
  CHECK(files_of(temp / "c") == loose_files);

  // Whoever wants numbers keeps numbers.
  job.run(*group, folder, "brightness", ".txt",
          [](auto made, const auto& unfinished) { std::ofstream(unfinished) << made.size(); });
  CHECK(read_file(temp / "a" / "brightness-000001.txt") == "3");
}

TEST_CASE("models of classes have their labels in shards") {
  auto request = small_request();
  request.size = {};
  const std::vector<std::int32_t> classes{1, 0};
  const SampleJob job(small_model("dit"), request, sample_items(classes, 3, 0), {.chunk = 2});
  const TempFolder temp;
  const auto group = alone();
  const ChunkFolder folder(temp / "a", job.description(), *group);
  sample_to_folder(job, *group, folder, SampleLayout::shards);
  const auto shard = ShardReader::open(temp / "a" / "shard-000000.tar");
  REQUIRE(shard.entries().size() == 6);
  CHECK(shard.entries()[1].name == "000000.cls");
  CHECK(shard.read_text(shard.entries()[1]) == "1");
  CHECK(nlohmann::json::parse(shard.read_text(shard.entries()[2])).at("class") == 1);
}

TEST_CASE("a job's description holds what its pictures depend on") {
  const auto pipeline = small_model("sd1");
  const auto items = sample_items(prompts, 2, 0);
  const auto usual = SampleJob(pipeline, small_request(), items).description();
  CHECK(SampleJob(pipeline, small_request(), items).description() == usual);
  const std::vector<std::function<void(Request&)>> changes{
      [](Request& r) { r.sampling.steps = 3; },
      [](Request& r) { r.sampling.sampler = "ddim"; },
      [](Request& r) { r.sampling.eta = 0.5; },
      [](Request& r) { r.guidance.scale = 2.0f; },
      [](Request& r) { r.size.width = 32; },
      [](Request& r) { r.negative_prompt = ""; },
      [](Request& r) { r.clip_skip = 1; },
      [](Request& r) { r.tiling.x = true; },
      [](Request& r) { r.hires.emplace(); },
      [](Request& r) { r.tiles.emplace(); },
      [](Request& r) { r.micro.aesthetic_score = 5.0; },
      [](Request& r) { r.free_u.emplace(); },
      [](Request& r) { r.prompt_syntax = PromptSyntax::a1111; },
      [](Request& r) { r.vae_tiling.use = VaeTiling::Use::on; }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    INFO(i);
    auto request = small_request();
    changes[i](request);
    CHECK(SampleJob(pipeline, request, items).description() != usual);
  }
  CHECK(SampleJob(pipeline, small_request(), items, {.chunk = 2}).description() != usual);
  CHECK(SampleJob(pipeline, small_request(), sample_items(prompts, 2, 1)).description() != usual);

  // Of very many items the description holds a hash.
  const auto many = sample_items(prompts, 30'000, 0), others = sample_items(prompts, 30'000, 1);
  const auto long_job = SampleJob(pipeline, small_request(), many).description();
  CHECK(long_job.size() < 10'000);
  CHECK(SampleJob(pipeline, small_request(), others).description() != long_job);

  const auto refused = [&](const std::function<void(Request&)>& change) {
    auto request = small_request();
    change(request);
    CHECK_THROWS_AS(SampleJob(pipeline, request, items), ArgumentError);
  };
  refused([](Request& r) { r.input.image = Image(16, 16, 3); });
  refused([](Request& r) { r.sampling.noise = Tensor<float>({1, 2, 2, 4}); });
  refused([](Request& r) { r.controls.emplace_back(); });
  refused([](Request& r) { r.class_name = "cat"; });
  CHECK_THROWS_AS(SampleJob(pipeline, small_request(), {}), ArgumentError);
  CHECK_THROWS_AS(SampleJob(pipeline, small_request(), items, {.chunk = 0}), ArgumentError);
}

TEST_CASE("files are told apart by what is in them, not by where they lie") {
  const TempFolder temp;
  const auto print = [](const std::filesystem::path& path) { return file_fingerprint(std::vector{path}); };
  temp.write("a/unet/config.json", "{}");
  temp.write("a/unet/model.safetensors", std::string(70 << 20, 'w'));
  const auto first = print(temp / "a");
  temp.write("a/README.md", "not a part of it");
  CHECK(print(temp / "a") == first);
  std::filesystem::rename(temp / "a", temp / "b");
  CHECK(print(temp / "b") == first);
  CHECK(file_fingerprint(std::vector{temp / "b", temp / "b" / "unet"}) == first);
  std::string other(70 << 20, 'w');
  other.back() = 'x';
  temp.write("b/unet/model.safetensors", other);
  CHECK(print(temp / "b") != first);
  temp.write("b/unet/model.safetensors", std::string(70 << 20, 'w'));
  CHECK(print(temp / "b") == first);
  temp.write("b/unet/config.json", "{ }");
  CHECK(print(temp / "b") != first);
  CHECK_THROWS_AS(print(temp / "none"), FileError);
}
