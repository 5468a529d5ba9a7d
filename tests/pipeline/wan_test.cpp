#include <array>

#include "daguerre/pipeline/model.hpp"
#include "daguerre/samplers/registry.hpp"
#include "pipeline/families/experts.hpp"
#include "pipeline/families/families.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/native_engine.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

/// A denoiser that answers with a number, which is told from another's, plus its branch's label.
class Numbered final : public Denoiser {
 public:
  explicit Numbered(float number, Index channels = 4) : number_(number) {
    info_.in_channels = info_.out_channels = channels;
  }
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context&, const Tensor<float>& x, float,
                           const Conditioning& conditioning) const override {
    auto y = Tensor<float>::full(x.shape(), number_);
    for (Index i = 0; i < y.size(); ++i)
      y.data()[i] +=
          static_cast<float>(conditioning.labels.at(static_cast<std::size_t>(i * x.dim(0) / x.size())));
    return y;
  }

 private:
  DenoiserInfo info_;
  float number_;
};

Model wan_model() {
  return Model::load(ModelSource::open_folder(golden("pipelines/wan22_i2v_a14b")),
                     {.compute = context_for("native"), .precision = Precision::float32});
}

Task small_task(const Model&) {
  Task task;
  task.prompts = {{.text = "a horse"}};
  task.height = 32;
  task.width = 48;
  task.steps = 1;
  task.film.frames = 5;
  task.film.conditions = {{{Image(48, 32, 3)}}};
  task.sampler = samplers::SamplerRegistry::standard().make(
      Config::load(golden("pipelines/wan22_i2v_a14b") / "scheduler" / "scheduler_config.json"));
  return task;
}

}  // namespace

TEST_CASE("Wan makes 4 k + 1 frames, as the reference rounds them", "[pipeline][wan]") {
  const auto wan = families::wan(), vace = families::wan_vace();
  const LatentFormat format{.time_ratio = 4, .mean = {}, .std = {}, .config = {}};
  for (const auto& [asked, made] :
       {std::array<Index, 2>{1, 1}, {2, 1}, {4, 5}, {5, 5}, {8, 9}, {11, 9}, {81, 81}}) {
    Task task;
    task.film.frames = asked;
    CHECK(wan.frames(task, asked, format) == made);
    CHECK(vace.frames(task, asked, format) == made);
  }
  Task task;
  task.film.video.assign(8, Image(8, 8, 3));
  CHECK(wan.frames(task, 81, format) == 5);
  CHECK(vace.frames(task, 81, format) == 9);
}

TEST_CASE("of two experts each has its part of the run and its guidance", "[pipeline][wan]") {
  const auto both = families::experts(std::make_shared<const Numbered>(10.0f),
                                      std::make_shared<const Numbered>(20.0f), 875.0);
  const auto x = random_tensor({1, 2, 2, 4}, 1);
  Conditions conditions;
  conditions.positive.labels = {3};
  conditions.negative.emplace().labels = {1};
  const Guidance guidance{.scale = 4.0f, .scale_2 = 3.0f};
  const auto run = families::expert_guider(guidance, both->info())->start(conditions);
  const auto at = [&](float timestep) {
    const Predict predict = [&](const Tensor<float>& branches, const Conditioning& conditioning) {
      return (*both)({}, branches, timestep, conditioning);
    };
    return (*run)(predict, x, {0, 1, timestep}).data()[0];
  };
  CHECK(at(999.0f) == Approx(10.0f + 1.0f + 4.0f * 2.0f));
  CHECK(at(875.0f) == Approx(10.0f + 1.0f + 4.0f * 2.0f));
  CHECK(at(874.0f) == Approx(20.0f + 1.0f + 3.0f * 2.0f));
  CHECK_FALSE(families::expert_guider({.scale = 1.0f, .scale_2 = 3.0f}, both->info())->needs_negative());
  expect_error<ConfigError>(
      [&] {
        families::experts(std::make_shared<const Numbered>(1.0f), std::make_shared<const Numbered>(1.0f, 8),
                          1.0);
      },
      {"experts do not fit", "8 channels in"});
}

TEST_CASE("Wan refuses pictures and films that it cannot begin with", "[pipeline][wan]") {
  const auto model = wan_model();
  const auto context = context_for("native");
  SeededNoise noise("torch-cpu", {1});
  const auto run = [&](const Task& task) { (void)model.run(context, task, noise); };
  auto task = small_task(model);
  CHECK(model.run(context, task, noise).decoded.shape() == Shape{1, 5, 32, 48, 3});
  task.film.conditions = {{{Image(48, 32, 3)}, 2}};
  expect_error<ArgumentError>([&] { run(task); }, {"first frame or the last", "frame 2"});
  task.film.conditions = {{std::vector<Image>(6, Image(48, 32, 3))}};
  expect_error<ArgumentError>([&] { run(task); }, {"clip of 6 frames", "5"});
  task.film.conditions = {};
  expect_error<ArgumentError>([&] { run(task); }, {"needs a picture"});
  task = small_task(model);
  task.film.video = {Image(48, 32, 3)};
  expect_error<ArgumentError>([&] { run(task); }, {"not both"});
  task = small_task(model);
  task.film.conditions.front().strength = 0.5;
  expect_error<ArgumentError>([&] { run(task); }, {"takes no strength", "0.5"});
  task = small_task(model);
  task.width = 40;
  expect_error<ArgumentError>([&] { run(task); }, {"width"});
}
