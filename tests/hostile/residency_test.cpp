// What is loaded when it is needed makes the same pictures in less memory.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daguerre/pipeline/component_registry.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/weights/random_tensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/guest.hpp"
#include "support/model_copy.hpp"
#include "support/process.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

/// Writes what a network of `part` reads, in random numbers.
template <class Open>
void write_random(const ComponentSource& source, const std::filesystem::path& file, const Open& open) {
  auto part = source;
  part.given_weights =
      weights::StateDict({std::make_shared<const weights::RandomTensors>(1, DType::f32)}, part.name);
  LoadContext asking{.compute = context_for("native")};
  asking.compute.placement = ops::WeightPlacement::mapped;
  (void)open(part, asking).load(asking);
  weights::SafetensorsWriter writer;
  for (const auto& name : part.given_weights->names())
    writer.add(name, part.given_weights->tensor(name, part.given_weights->shape(name)));
  writer.save(file);
}

/// A small model whose text encoder takes about 25 MB, and its autoencoder twice as much and more: packing a
/// text encoder's table reads as much from the file.
class LargeParts {
 public:
  LargeParts() {
    model_.set("text_encoder/config.json", {{"vocab_size", 400'000}});
    model_.set("vae/config.json", {{"block_out_channels", {64, 320}}});
    const auto source = ModelSource::open_folder(path());
    const auto registry = ComponentRegistry::standard();
    write_random(source.part("text_encoder"), model_ / "text_encoder/model.safetensors",
                 [&](const ComponentSource& part, const LoadContext& context) {
                   return registry.open_text_encoder(part, source.part("tokenizer"), context);
                 });
    write_random(source.part("vae"), model_ / "vae/diffusion_pytorch_model.safetensors",
                 [&](const ComponentSource& part, const LoadContext& context) {
                   return registry.open_autoencoder(part, context);
                 });
  }
  const std::filesystem::path& path() const { return model_.path(); }
  const ModelCopy& files() const { return model_; }

  Pipeline load(WeightStorage weights, Residency residency, std::uint64_t limit = 0) const {
    return Pipeline::load(path(), options(weights, residency, limit));
  }
  static LoadOptions options(WeightStorage weights, Residency residency, std::uint64_t limit = 0) {
    return {.precision = Precision::float32,
            .weights = weights,
            .residency = residency,
            .memory_limit = limit,
            .threads = 1};
  }

 private:
  ModelCopy model_{"sd1"};
};

double megabytes_of(const Pipeline& pipe, const std::string& name) {
  for (const auto& part : pipe.info().parts)
    if (part.name == name) return static_cast<double>(part.weight_bytes) / (1 << 20);
  return 0;
}

}  // namespace

TEST_CASE("parts that are loaded when they are needed make the same pictures", "[guest][memory][residency]") {
  const LargeParts model;
  auto from_picture = small_order();
  from_picture.input.image = Image(24, 16, 3);
  from_picture.input.image.pixels()[7] = 200;
  auto batch = small_order();
  batch.output.count = 2;
  batch.negative_prompt = "a dog";
  const std::vector<Request> orders{from_picture, batch};
  std::vector<Result> expected;
  const auto kept = model.load(WeightStorage::packed, Residency::kept);
  for (const auto& order : orders) expected.push_back(kept.generate(order));
  for (const auto weights : {WeightStorage::packed, WeightStorage::mapped, WeightStorage::automatic}) {
    const auto pipe = model.load(weights, Residency::when_needed);
    INFO(short_name(weights));
    for (int round = 0; round < 2; ++round)
      for (std::size_t i = 0; i < orders.size(); ++i) CHECK(equal(pipe.generate(orders[i]), expected[i]));
    // Previews come from the autoencoder, too.
    auto watched = orders[1];
    int previews = 0;
    watched.on_step = [&](const Step& step) {
      previews += step.preview(1).width() == 24 ? 1 : 0;
      return true;
    };
    CHECK(equal(pipe.generate(watched), expected[1]));
    CHECK(previews == 3);
  }
}

TEST_CASE("parts that are loaded when they are needed are freed behind their stage",
          "[guest][memory][residency]") {
  if (is_instrumented) return;
  const LargeParts model;
  /// What a load and a picture need at most, and what is left beside the pipeline.
  struct Growth {
    double peak, steps, left;
  };
  const auto growth = [&](Residency residency) {
    const PeakMemory peak;
    const double before = resident_megabytes();
    const auto pipe = model.load(WeightStorage::packed, residency);
    auto order = small_order();
    double steps = 0;
    order.on_step = [&](const Step&) {
      steps = resident_megabytes() - before;
      return true;
    };
    (void)pipe.generate(order);
    return Growth{peak.growth_megabytes(), steps, resident_megabytes() - before};
  };
  (void)growth(Residency::kept);  // finds the memory that the process keeps
  const auto kept = growth(Residency::kept), needed = growth(Residency::when_needed);
  const auto pipe = model.load(WeightStorage::packed, Residency::when_needed);
  const double text = megabytes_of(pipe, "text_encoder"), autoencoder = megabytes_of(pipe, "vae");
  REQUIRE(text > 20.0);
  REQUIRE(autoencoder > 2.2 * text);
  CHECK(kept.left > 0.8 * (text + autoencoder));
  CHECK(needed.left < 0.3 * text);
  CHECK(needed.steps < 0.3 * text);
  CHECK(needed.peak < kept.peak - 0.6 * text);
}

TEST_CASE("runs at the same time share what they load", "[guest][memory][residency]") {
  const LargeParts model;
  const auto pipe = model.load(WeightStorage::packed, Residency::when_needed);
  const auto expected = pipe.generate(small_order());
  std::vector<std::optional<Result>> made(4);
  std::vector<std::thread> threads;
  for (auto& one : made) threads.emplace_back([&] { one = pipe.generate(small_order()); });
  for (auto& thread : threads) thread.join();
  for (const auto& one : made) CHECK(equal(*one, expected));
  // A lease of the host's keeps a part from one run to the next, and its memory goes with it.
  if (is_instrumented) return;
  const double before = resident_megabytes(), text = megabytes_of(pipe, "text_encoder");
  auto leases = pipe.model().components().lease_text_encoders();
  (void)pipe.generate(small_order());
  CHECK(resident_megabytes() - before > 0.8 * text);
  leases.clear();
  CHECK(resident_megabytes() - before < 0.2 * text);
}

TEST_CASE("a pipeline says how its parts are kept", "[guest][memory][residency][info]") {
  const LargeParts model;
  std::vector<std::string> log;
  auto options = LargeParts::options(WeightStorage::packed, Residency::when_needed);
  options.log = [&](LogLevel, std::string_view text) { log.emplace_back(text); };
  const auto needed = Pipeline::load(model.path(), options);
  const auto kept = model.load(WeightStorage::packed, Residency::kept);
  const auto mapped = model.load(WeightStorage::mapped, Residency::kept);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& part = needed.info().parts[i];
    INFO(part.name);
    CHECK(part.residency == (part.name == "unet" ? Residency::kept : Residency::when_needed));
    CHECK(part.weights == WeightStorage::packed);
    CHECK(part.weight_bytes == kept.info().parts[i].weight_bytes);
    CHECK(kept.info().parts[i].residency == Residency::kept);
    CHECK(mapped.info().parts[i].weights == WeightStorage::mapped);
  }
  const auto told = [&](std::string_view what) {
    return std::ranges::count_if(log, [&](const auto& line) { return line.find(what) != std::string::npos; });
  };
  CHECK(told("packed, loaded when needed") == 2);
  CHECK(told("[weights]") == 3);
  (void)needed.generate(small_order());
  CHECK(told("[weights]") == 3);  // at load alone
}

TEST_CASE("the memory limit decides on what is packed and what is kept", "[guest][memory][residency]") {
  const LargeParts model;
  const auto all = model.load(WeightStorage::packed, Residency::kept);
  const auto text = all.info().parts[0].weight_bytes, autoencoder = all.info().parts[1].weight_bytes;
  const auto smaller = std::min(text, autoencoder);
  const auto limited = [&](std::uint64_t limit) {
    return model.load(WeightStorage::automatic, Residency::automatic, limit);
  };
  const auto expected = all.generate(small_order());
  const std::uint64_t most = all.info().weight_bytes + 12'000'000;  // with the largest layer of a mapped part
  const auto roomy = limited(most);
  for (const auto& part : roomy.info().parts) CHECK(part.weights == WeightStorage::packed);
  const auto one = limited(most - smaller);
  int packed = 0;
  for (const auto& part : one.info().parts) packed += part.weights == WeightStorage::packed ? 1 : 0;
  CHECK(packed == 2);
  CHECK(one.info().weights == WeightStorage::packed);  // the denoiser
  CHECK(equal(one.generate(small_order()), expected));
  expect_error<ArgumentError>([&] { limited(1000); },
                              {"memory_limit is 1 MB", "too much", "no other option takes less than"});
  expect_error<ArgumentError>([&] { model.load(WeightStorage::packed, Residency::kept, most - smaller); },
                              {"too much", "residency automatic would fit"});
  const auto dropped = model.load(WeightStorage::packed, Residency::automatic, most - smaller);
  CHECK(std::ranges::count(dropped.info().parts, Residency::when_needed, &PartInfo::residency) >= 1);
}

TEST_CASE("what is wrong with weights shows at load, whenever they are needed", "[guest][residency]") {
  const LargeParts model;
  const auto refused = [&](std::initializer_list<std::string_view> parts) {
    expect_error<WeightError>([&] { model.load(WeightStorage::automatic, Residency::when_needed); }, parts);
  };
  model.files().set("vae/config.json", {{"block_out_channels", {64, 128}}});
  refused({"vae", "shape"});
  model.files().set("vae/config.json", {{"block_out_channels", {64, 320}}});
  model.files().rename_tensors("text_encoder/model.safetensors", [](const std::string& name) {
    return name.find("final_layer_norm") == std::string::npos ? name : std::string();
  });
  refused({"text_encoder", "final_layer_norm"});
}
