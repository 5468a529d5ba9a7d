#include <array>
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

#include "conformance/case.hpp"
#include "daguerre/media/clip_image_processor.hpp"
#include "daguerre/metrics/clip_score.hpp"
#include "daguerre/models/contrastive/clip_model.hpp"
#include "daguerre/pipeline/picture_preparation.hpp"
#include "daguerre/text/clip_tokenizer.hpp"
#include "pipeline/clip_image_processor.hpp"

/// Cases of CLIP with both towers: the network alone (`vision/clip_model`), and the scores made with it
/// (`metrics/clip_score_openai`, `metrics/hpsv2`) from pictures and texts.
namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// One case's comparisons; `T` is what the networks multiply.
template <class T>
class ClipComparison {
 public:
  ClipComparison(const Recorded& run, Result& result) : run_(run), result_(result) {}

  /// What a network computed, against `out.NAME`.
  void network(const std::string& name, const Tensor<float>& actual) {
    add("out." + name, actual, std::is_same_v<T, float> ? bounds::network : bounds::bfloat16_network);
  }
  void network(const std::string& name, const Tensor<double>& actual) { network(name, actual.to<float>()); }
  void network(const std::string& name, const std::vector<double>& actual) {
    network(name, Tensor<double>::copy_of({static_cast<Index>(actual.size())}, actual));
  }
  /// What does not depend on one.
  void plain(const std::string& name, const Tensor<float>& actual, double bound) { add(name, actual, bound); }

 private:
  void add(const std::string& name, const Tensor<float>& actual, double bound) {
    if (run_.has(name))
      result_.checks.push_back({name + run_.label(), test::difference(actual, run_.tensor(name)), bound});
  }

  const Recorded& run_;
  Result& result_;
};

Tensor<double> unit_rows(const Tensor<double>& rows) {
  auto result = rows.clone();
  for (Index n = 0; n < rows.dim(0); ++n) {
    const auto row = rows[n].span();
    const double norm = std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
    for (Index i = 0; i < rows.dim(1); ++i) result.data()[n * rows.dim(1) + i] /= norm;
  }
  return result;
}

Tensor<double> transposed(const Tensor<double>& x) {
  Tensor<double> result({x.dim(1), x.dim(0)});
  for (Index i = 0; i < x.dim(0); ++i)
    for (Index j = 0; j < x.dim(1); ++j) result.data()[j * x.dim(0) + i] = x.data()[i * x.dim(1) + j];
  return result;
}

Tensor<double> times(const Tensor<double>& x, double factor) {
  auto result = x.clone();
  for (double& value : result.span()) value *= factor;
  return result;
}

template <class T>
models::ClipModel<T> clip_network(const models::ClipModelConfig& config, const fs::path& weights,
                                  const ops::Context& context) {
  return {config, loader_for(weights, context)};
}

/// Both towers in one file.
template <class T>
Result run_towers(const fs::path& folder, const Config& config, const ops::Context& context) {
  const auto network =
      clip_network<T>(models::ClipModelConfig::from(config), folder / "weights.safetensors", context);
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    ClipComparison<T> compare(run, result);
    const auto texts = unit_rows(
        network.embed_texts(context, run.file().read<std::int32_t>("in.input_ids")).template to<double>());
    const auto pictures =
        unit_rows(network.embed_pictures(context, run.tensor("in.pixel_values")).template to<double>());
    compare.network("text_embeds", texts);
    compare.network("image_embeds", pictures);
    const auto logits = times(metrics::cosine_matrix(pictures, texts), double{network.logit_scale()});
    compare.network("logits_per_image", logits);
    compare.network("logits_per_text", transposed(logits));
  }
  return result;
}

std::vector<Image> pictures_of(const fs::path& folder) {
  std::vector<Image> result;
  for (int i = 0; fs::exists(folder / ("image_" + std::to_string(i) + ".png")); ++i)
    result.push_back(Image::load(folder / ("image_" + std::to_string(i) + ".png")));
  return result;
}

template <class Processor>
Tensor<float> prepared(const std::vector<Image>& pictures, const Processor& processor) {
  std::vector<Tensor<float>> rows;
  for (const auto& picture : pictures) rows.push_back(processor(picture));
  return concat_leading<float>(rows);
}

Tensor<std::int32_t> ids_of(const std::vector<std::string>& texts, const text::ClipTokenizer& tokenizer) {
  std::vector<Tensor<std::int32_t>> rows;
  for (const auto& text : texts) {
    const auto window = tokenizer.window(text);
    rows.push_back(Tensor<std::int32_t>::copy_of({1, static_cast<Index>(window.ids.size())}, window.ids));
  }
  return concat_leading<std::int32_t>(rows);
}

Tensor<double> softmax_rows(const Tensor<double>& logits) {
  auto result = logits.clone();
  for (Index n = 0; n < logits.dim(0); ++n) {
    const auto row = result.span().subspan(static_cast<std::size_t>(n * logits.dim(1)),
                                           static_cast<std::size_t>(logits.dim(1)));
    double sum = 0.0;
    for (double& value : row) sum += value = std::exp(value - logits[n].data()[0]);
    for (double& value : row) value /= sum;
  }
  return result;
}

Tensor<double> rows_at(const Tensor<double>& rows, const std::vector<int>& places) {
  std::vector<Tensor<double>> chosen;
  for (const int place : places) chosen.push_back(rows.slice(place, place + 1));
  return concat_leading<double>(chosen);
}

/// openai/CLIP and transformers on one model, texts and pictures. A copy of the case without weights compares
/// what comes before the networks.
template <class T>
Result run_openai_scores(const fs::path& folder, const Config& config, const ops::Context& context) {
  Result result;
  const Recorded run(folder / "io.safetensors");
  ClipComparison<T> compare(run, result);
  const auto pictures = pictures_of(folder);
  const Index size = run.tensor("mid.pixel_values").dim(1);
  const auto pixels = prepared(pictures, ClipImageProcessor::openai(size));
  compare.plain("mid.pixel_values", pixels, bounds::block);
  const auto pixels_hf =
      prepared(pictures, read_clip_image_processor(Config::load(folder / "hf" / "preprocessor_config.json")));
  compare.plain("mid.pixel_values_hf", pixels_hf, bounds::block);
  const auto texts = config.require_strings("texts");
  for (const auto dialect : {text::ClipDialect::openai, text::ClipDialect::huggingface}) {
    const auto tokenizer = text::ClipTokenizer::load(folder / "hf", dialect).with_pad(0);  // as clip.tokenize
    compare.plain("in.input_ids", ids_of(texts, tokenizer).template to<float>(), 0.0);
  }
  if (!fs::exists(folder / "weights_openai.safetensors")) return result;

  const auto sizes = models::ClipModelConfig::from(Config::load(folder / "hf" / "config.json"));
  const auto network = clip_network<T>(sizes, folder / "weights_openai.safetensors", context);
  const auto words =
      network.embed_texts(context, run.file().read<std::int32_t>("in.input_ids")).template to<double>();
  const auto shown = network.embed_pictures(context, pixels).template to<double>();
  compare.network("text_features", words);
  compare.network("image_features", shown);
  const auto logits = times(metrics::cosine_matrix(shown, words), double{network.logit_scale()});
  compare.network("logits_per_image", logits);
  compare.network("logits_per_text", transposed(logits));
  // Of the recorded logits: a probability's relative error is a logit's absolute one, so that rounding to
  // bfloat16, which puts logits of 50 off by a tenth, would show as ten per cent here.
  compare.plain("out.softmax_over_texts",
                softmax_rows(run.tensor("out.logits_per_image").template to<double>()).template to<float>(),
                bounds::network);
  compare.network("cosine", metrics::cosine_similarity(shown, words));
  compare.network("image_image_cosine", metrics::cosine_matrix(shown, shown));
  compare.network("clipscore_2_5", metrics::clip_score(shown, words).per_pair);
  const auto hundred = metrics::clip_score(shown, words, {.weight = 100.0});
  compare.network("score_100", hundred.per_pair);
  compare.network("score_100_mean", Tensor<double>::full({}, hundred.mean));
  const std::vector<int> from{0, 2, 1}, to{2, 4, 3};  // as the case's description says
  compare.network("directional_similarity",
                  metrics::directional_similarity(rows_at(shown, from), rows_at(shown, to),
                                                  rows_at(words, from), rows_at(words, to)));

  const auto same = clip_network<T>(sizes, folder / "hf" / "model.safetensors", context);
  compare.network("image_features_hf", same.embed_pictures(context, pixels_hf));
  return result;
}

/// HPSv2: open_clip's layout and both of its ways to prepare pictures.
template <class T>
Result run_hps(const fs::path& folder, const Config& config, const ops::Context& context) {
  Json description;
  description["embed_dim"] = config.require_int("embed_dim");
  for (const char* part : {"vision_cfg", "text_cfg"}) description[part] = Json::parse(*config.json(part));
  description["quick_gelu"] = config.get("quick_gelu", false);
  const auto sizes =
      models::ClipModelConfig::from_open_clip(Config::parse(description.dump(), "config.json"));
  const auto network = clip_network<T>(sizes, folder / "weights.safetensors", context);
  Result result;
  const Recorded run(folder / "io.safetensors");
  ClipComparison<T> compare(run, result);
  const auto pictures = pictures_of(folder);
  const auto texts = config.require_strings("texts");
  compare.plain("in.input_ids",
                ids_of(texts, text::ClipTokenizer::load(folder / "tokenizer", text::ClipDialect::openai))
                    .template to<float>(),
                0.0);
  const auto words = unit_rows(
      network.embed_texts(context, run.file().read<std::int32_t>("in.input_ids")).template to<double>());
  compare.network("text_features", words);
  const auto score = [&](bool whole, const std::string& ending) {
    const auto pixels = prepared(pictures, [&](const Image& picture) {
      return hps_pixel_values(context, picture, sizes.vision.image_size, whole);
    });
    compare.plain("mid.pixel_values" + ending, pixels, bounds::block);
    const auto shown = unit_rows(network.embed_pictures(context, pixels).template to<double>());
    compare.network("image_features" + ending, shown);
    compare.network("hps" + ending, metrics::cosine_similarity(shown, words));
  };
  score(false, "");
  score(true, "_longest");
  return result;
}

}  // namespace

std::optional<Result> run_clip_model(const fs::path& folder, const Config& config, const Options& options) {
  const auto context = options.context();
  return options.with_type([&]<class T>() -> std::optional<Result> {
    if (config.class_name() == "CLIPModel") return run_towers<T>(folder, config, context);
    if (!config.has("texts")) return std::nullopt;
    if (config.has("vision_cfg")) return run_hps<T>(folder, config, context);
    if (fs::is_directory(folder / "hf")) return run_openai_scores<T>(folder, config, context);
    return std::nullopt;
  });
}

}  // namespace daguerre::conformance
