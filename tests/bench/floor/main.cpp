// The floor: the seconds that oneDNN alone needs for the convolutions and matrix products of one step of a
// model and of its decoder, each alone with its operands as warm as they get (the median of three, times how
// often it is asked for), with nothing around them.
//
//     OMP_NUM_THREADS=2 floor MODEL [--width W] [--height H] [--frames N] [--precision f32|bf16|int8]
//         [--guidance SCALE] [--layers yes]
//     OMP_NUM_THREADS=2 floor inception-v3 [--pictures N] [--precision f32|bf16]
//
// MODEL is a folder in diffusers' layout; weights are not read, and need not be there, tokenizers must. What
// is multiplied is asked of the networks: an engine that writes it down runs a step. Attention's products are
// left out, because a fused kernel never stores their result; their FLOPs are printed. A 3-D convolution
// counts as what it is made of, a 2-D one for each frame of its kernel. Compare `daguerre bench` with it in
// the same minute and at the same number of threads.
//
// With --layers yes, each kind of convolution that the library's engines compute by minimal filtering is
// printed too, its time beside oneDNN's, both measured in turns.
//
// "inception-v3" is the network of FID, with weights that nobody trained; it is compared here: in three
// turns the floor of one picture, and what Daguerre takes for each of N (64) of 256 x 256 pixels, which it
// resizes and passes through the network in batches.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

#include <daguerre/core/error.hpp>
#include <daguerre/models/feature_extractors/inception_v3.hpp>
#include <daguerre/pipeline/family.hpp>
#include <daguerre/pipeline/model.hpp>
#include <daguerre/samplers/registry.hpp>
#include <daguerre/weights/random_tensors.hpp>

#include "bench/floor/recorder.hpp"
#include "evaluation/inception_features.hpp"
#include "ops/engines/native/winograd_conv.hpp"
#include "ops/engines/onednn/onednn_compat.hpp"

namespace {

using namespace daguerre;
using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;

struct Arguments {
  std::string model, precision = "bf16";
  std::optional<Index> width, height, frames;
  std::optional<float> guidance;
  Index pictures = 64;
  bool layers = false;
};

Arguments parsed(int argc, char** argv) {
  Arguments result;
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    if (!text.starts_with("--")) {
      result.model = text;
      continue;
    }
    if (++i == argc) throw ArgumentError("floor", text + " needs a value");
    if (text == "--width")
      result.width = std::stol(argv[i]);
    else if (text == "--height")
      result.height = std::stol(argv[i]);
    else if (text == "--frames")
      result.frames = std::stol(argv[i]);
    else if (text == "--guidance")
      result.guidance = std::stof(argv[i]);
    else if (text == "--pictures")
      result.pictures = std::stol(argv[i]);
    else if (text == "--layers")
      result.layers = std::string_view(argv[i]) == "yes";
    else if (text == "--precision")
      result.precision = argv[i];
    else
      throw ArgumentError("floor", "unknown option " + text);
  }
  if (result.model.empty()) throw ArgumentError("floor", "expected a model's folder");
  if (result.precision != "f32" && result.precision != "bf16" && result.precision != "int8")
    throw ArgumentError("floor", "precision \"" + result.precision + "\", expected f32, bf16 or int8");
  return result;
}

/// What a step and the decoder of that model multiply.
std::pair<bench::Record, bench::Record> recorded(const Arguments& arguments) {
  auto source = ModelSource::open_folder(arguments.model);
  const Family family = FamilyRegistry::standard().of_class(source.class_name(), source.index().source());
  for (const auto& part : family.parts)
    if (auto component = source.find(part.name)) {
      component->given_weights =
          weights::StateDict({std::make_shared<const weights::RandomTensors>()}, part.name);
      source = source.with(*component);
    }
  const auto recorder = std::make_shared<bench::Recorder>();
  ops::Context context{.engine = std::make_shared<const bench::RecordingEngine>(recorder),
                       .threads = Threads(available_threads()),
                       .pool = {},
                       .stop = {},
                       .profile = {}};
  const auto model = Model::load(
      source, {.compute = context,
               .precision = arguments.precision == "f32" ? Precision::float32 : Precision::bfloat16});
  const auto size = model.default_size();
  Task task{.prompts = {Prompt{.text = family.tasks.prompt ? "a lighthouse" : ""}},
            .height = arguments.height.value_or(size[0]),
            .width = arguments.width.value_or(size[1]),
            .steps = 1,
            .guidance = {.scale = arguments.guidance.value_or(family.defaults.guidance_scale)}};
  if (!family.tasks.guidance) task.guidance.scale = 1.0f;
  task.film.frames = model.denoiser().films ? arguments.frames.value_or(0) : 0;
  if (family.films.needs_condition) {
    Image picture(task.width, task.height, 3);
    std::fill(picture.pixels().begin(), picture.pixels().end(), std::uint8_t{128});
    task.film.conditions.push_back({.pictures = {picture}});
  }
  if (family.tasks.classes && model.denoiser().classes > 0) task.prompts.front().label = 0;
  task.sampler = samplers::SamplerRegistry::standard().make(
      scheduler_config(source, FamilyRegistry::pipeline_class(family, source.class_name())));
  SeededNoise noise("torch-cpu", {0});
  auto conditions = model.condition(context, task, *model.guider(task));
  recorder->take();
  const auto latents = model.denoise(context, task, std::move(conditions), noise);
  auto step = recorder->take();
  model.decode(context, latents);
  return {std::move(step), recorder->take()};
}

/// The median of each one's seconds, in turns.
std::vector<double> median_seconds(const std::vector<std::function<void()>>& runs, int rounds = 3) {
  std::vector<std::vector<double>> seconds(runs.size());
  for (const auto& run : runs) run();
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      runs[i]();
      seconds[i].push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
  std::vector<double> medians;
  for (auto& each : seconds) {
    std::sort(each.begin(), each.end());
    medians.push_back(each[each.size() / 2]);
  }
  return medians;
}

/// oneDNN by itself, with its own threads.
class Floor {
 public:
  explicit Floor(const std::string& precision)
      : source_(precision == "f32"    ? Type::f32
                : precision == "bf16" ? Type::bf16
                                      : Type::u8),
        weights_(precision == "int8" ? Type::s8 : source_),
        destination_(precision == "f32" ? Type::f32 : Type::bf16) {}

  /// The seconds.
  double tell(const char* what, const bench::Record& record) {
    double seconds = 0.0, flops = 0.0;
    for (const auto& [product, count] : record.products) {
      seconds += count * time_of(product);
      flops += 2.0 * count * static_cast<double>(product.m * product.n * product.k);
    }
    for (const auto& [c, count] : record.convolutions) {
      seconds += count * time_of(c);
      flops += 2.0 * count * static_cast<double>(c.batch * out_height(c) * out_width(c) * c.out) *
               static_cast<double>(c.in * c.kernel_height * c.kernel_width);
    }
    if (flops == 0.0) {
      std::printf("%s: multiplies nothing\n", what);
      return 0.0;
    }
    std::printf("%s: %.4f s, %.0f GFLOP, %.0f GFLOP/s; attention's %.0f GFLOP are not in it\n", what, seconds,
                flops * 1e-9, flops * 1e-9 / seconds, record.attention_flops * 1e-9);
    std::fflush(stdout);
    return seconds;
  }

  /// Each convolution that the library's engines do not compute directly, beside oneDNN's.
  template <class T>
  void tell_layers(const bench::Record& record) const {
    const ops::Context context{
        .engine = {}, .threads = Threads(available_threads()), .pool = {}, .stop = {}, .profile = {}};
    for (const auto& [c, count] : record.convolutions) {
      const Shape shape{c.out, c.in, c.kernel_height, c.kernel_width};
      const ops::ConvGeometry geometry{c.stride, c.top, c.left, c.bottom, c.right};
      if (!ops::suits_winograd(context, shape, geometry)) continue;
      const auto layer = ops::make_winograd_conv2d<T>(
          context, ops::WeightSource::of(Tensor<float>::full(shape, 0.01f).template to<T>()), {}, geometry);
      const auto x = Tensor<float>::full({c.batch, c.height, c.width, c.in}, 0.5f).template to<T>();
      const auto seconds = median_seconds({{prepared(c)}, {[&] { (*layer)(context, x, {}); }}}, 5);
      std::printf("  %td x [%td, %td, %td, %td] to %td: oneDNN %.2f ms, minimal filtering %.2f ms: %.3f\n",
                  static_cast<std::ptrdiff_t>(count), c.batch, c.height, c.width, c.in, c.out,
                  seconds[0] * 1e3, seconds[1] * 1e3, seconds[1] / seconds[0]);
      std::fflush(stdout);
    }
  }

 private:
  static Index out_height(const bench::Convolution& c) {
    return (c.height + c.top + c.bottom - c.kernel_height) / c.stride + 1;
  }
  static Index out_width(const bench::Convolution& c) {
    return (c.width + c.left + c.right - c.kernel_width) / c.stride + 1;
  }
  template <class Asked>
  double time_of(const Asked& asked) const {
    return median_seconds({prepared(asked)}).front();
  }
  std::function<void()> prepared(const bench::Product& p) const {
    return prepared_primitive<dnnl::matmul>(
        ops::onednn::matmul_desc(engine_, {{p.m, p.k}, source_, Tag::ab}, {{p.k, p.n}, weights_, Tag::any},
                                 {}, {{p.m, p.n}, destination_, Tag::ab}, {}));
  }
  std::function<void()> prepared(const bench::Convolution& c) const {
    return prepared_primitive<dnnl::convolution_forward>(ops::onednn::convolution_desc(
        engine_, {{c.batch, c.in, c.height, c.width}, source_, Tag::nhwc},
        {{c.out, c.in, c.kernel_height, c.kernel_width}, weights_, Tag::any}, {},
        {{c.batch, c.out, out_height(c), out_width(c)}, destination_, Tag::nhwc}, {c.stride, c.stride},
        {c.top, c.left}, {c.bottom, c.right}, {}));
  }
  template <class Primitive>
  std::function<void()> prepared_primitive(const typename Primitive::primitive_desc& description) const {
    const Primitive primitive(description);
    memory source(description.src_desc(), engine_), weights(description.weights_desc(), engine_),
        destination(description.dst_desc(), engine_);
    // Numbers, and pages of its own: fresh memory is one page of zeros, which a cache holds.
    for (const auto* operand : {&source, &weights})
      std::memset(operand->get_data_handle(), 0x3C, operand->get_desc().get_size());
    return [=, stream = dnnl::stream(engine_)]() mutable {
      primitive.execute(stream,
                        {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, destination}});
      stream.wait();
    };
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  Type source_, weights_, destination_;
};

ops::Context context_of(std::shared_ptr<const ops::Engine> engine) {
  return {.engine = std::move(engine),
          .threads = Threads(available_threads()),
          .pool = {},
          .stop = {},
          .profile = {}};
}

template <class T>
void compare_inception(const Arguments& arguments) {
  const weights::Scope untrained(
      weights::StateDict({std::make_shared<const weights::RandomTensors>()}, "inception-v3"));
  const auto recorder = std::make_shared<bench::Recorder>();
  const auto recording = context_of(std::make_shared<const bench::RecordingEngine>(recorder));
  const auto input = Tensor<float>::zeros({1, 299, 299, 3});
  models::InceptionV3<T>({untrained, recording})(recording, input);
  const auto record = recorder->take();

  auto context = context_of(ops::make_engine("onednn"));
  const models::InceptionV3<T> network({untrained, context});
  Image picture(256, 256, 3);
  for (std::size_t i = 0; i < picture.pixels().size(); ++i)
    picture.pixels()[i] = static_cast<std::uint8_t>(i * 7 % 251);
  const std::vector<Image> pictures(static_cast<std::size_t>(arguments.pictures), picture);
  const auto run = [&](const ops::Context& running) {
    evaluation::in_batches(running, "pytorch-fid", pictures,
                           [&](const Tensor<float>& batch) { network(running, batch); });
  };
  run(context);
  Floor floor(arguments.precision);
  for (int turn = 0; turn < 3; ++turn) {
    const double least = floor.tell("floor of a picture", record);
    const auto start = std::chrono::steady_clock::now();
    run(context);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
                           static_cast<double>(arguments.pictures);
    std::printf("Daguerre: %.4f s a picture, %.2f of the floor\n", seconds, seconds / least);
  }
  context.profile = std::make_shared<ops::Profile>();
  run(context);
  for (const auto kind : ops::op_kinds) {
    const auto totals = context.profile->operations(ops::Stage::outside, kind);
    if (totals.calls > 0)
      std::printf("  %-12s %.4f s a picture\n", std::string(ops::name(kind)).c_str(),
                  totals.seconds / static_cast<double>(arguments.pictures));
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto arguments = parsed(argc, argv);
    if (arguments.model == "inception-v3") {
      if (arguments.precision == "f32")
        compare_inception<float>(arguments);
      else
        compare_inception<bfloat16>(arguments);
      return 0;
    }
    const auto records = recorded(arguments);
    Floor floor(arguments.precision);
    for (const auto& [what, record] :
         {std::pair{"step", &records.first}, std::pair{"decoder", &records.second}}) {
      floor.tell(what, *record);
      if (arguments.layers && arguments.precision == "f32") floor.tell_layers<float>(*record);
      if (arguments.layers && arguments.precision == "bf16") floor.tell_layers<bfloat16>(*record);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr,
                 "%s\nusage: floor MODEL|inception-v3 [--width W] [--height H] [--precision f32|bf16|int8] "
                 "[--guidance SCALE]\n",
                 error.what());
    std::fprintf(
        stderr,
        "%s\nusage: floor MODEL [--width W] [--height H] [--precision f32|bf16|int8] [--guidance SCALE] "
        "[--layers yes]\n",
        error.what());
    return 1;
  }
  return 0;
}
