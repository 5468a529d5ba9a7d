#include "daguerre/evaluation/evaluate_model.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <random>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "config/json.hpp"
#include "core/files.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* model_job_name = "eval model";
constexpr const char* comparison_name = "eval compare";

std::string numbered_name(Index number, int digits) {
  auto text = std::to_string(number);
  text.insert(0, text.size() < static_cast<std::size_t>(digits) ? digits - text.size() : 0, '0');
  return text;
}

std::vector<std::string> categories_of(std::span<const SampleItem> items) {
  std::vector<std::string> result;
  for (const auto& item : items) result.push_back(item.category);
  return result;
}

std::vector<std::string> prompts_of(const SampleJob& job, Index begin, Index end) {
  std::vector<std::string> result;
  for (Index i = begin; i < end; ++i) result.push_back(job.items()[static_cast<std::size_t>(i)].prompt);
  return result;
}

/// Pictures of the chunk that begins with item `begin`.
std::vector<Image> pictures_of(const SampleJob& job, Index begin) {
  std::vector<Image> result;
  for (auto& picture : job.make(begin / job.end_of(0))) result.push_back(std::move(picture.image));
  return result;
}

ChunkValues chunk_of(Index begin, Index end) {
  ChunkValues chunk;
  for (Index i = begin; i < end; ++i) chunk.items.push_back(i);
  return chunk;
}

nlohmann::json settings_of(const SampleJob& job) {
  return parse_json(job.description(), "the pictures' settings");
}

bool same_items(const SampleJob& a, const SampleJob& b) {
  return a.end_of(0) == b.end_of(0) &&
         std::ranges::equal(a.items(), b.items(), [](const SampleItem& x, const SampleItem& y) {
           return x.prompt == y.prompt && x.seed == y.seed && x.category == y.category;
         });
}

/// Whoever comes first makes it.
void make_folder(const std::filesystem::path& folder, const char* who) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || !std::filesystem::is_directory(folder, error))
    throw FileError(who, folder.string() + ": no folder can be made there", folder);
}

/// Pictures may be gone while the job that made them is done. In the process of rank 0.
void require_picture(const char* who, const std::filesystem::path& picture, const ChunkResults& job) {
  std::error_code error;
  if (!std::filesystem::exists(picture, error))
    throw ArgumentError(who,
                        picture.string() + " is missing although the job in " + job.folder().string() +
                            " is done; remove that folder to make them again",
                        picture);
}

bool is_first(const JobOptions& job) {
  return job.group == nullptr || job.group->rank() == 0;
}

/// JSON holds no other texts.
void require_utf8(const std::string& what, const std::string& text) {
  if (find_invalid_utf8(text) != text.npos)
    throw ArgumentError(comparison_name, what + " " + in_quotes(text) + " is not UTF-8");
}

/// The pictures of a blind set: which side is whose, and where they lie.
class BlindSet {
 public:
  BlindSet(const ComparisonOptions& options, const ComparedModel& a, const ComparedModel& b)
      : folder_(options.votes) {
    const auto& items = a.pictures.items();
    key_.a = a.name;
    key_.b = b.name;
    std::mt19937 generator(static_cast<std::uint32_t>(options.votes_seed));
    nlohmann::ordered_json pairs = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto name = name_of(static_cast<Index>(i));
      key_.a_is_left[name] = (generator() >> 31) == 0;  // the highest bit
      pairs.push_back({{"item", name},
                       {"prompt", items[i].prompt},
                       {"category", items[i].category},
                       {"left", name + "_left.png"},
                       {"right", name + "_right.png"}});
    }
    manifest_ = {{"version", 1},
                 {"questions", options.questions},
                 {"choices", {"a", "b", "tie"}},
                 {"columns", {"item", "rater", "question", "choice"}},
                 {"pairs", std::move(pairs)}};
    refuse_another();
  }

  /// The pictures of an item.
  void save(Index item, const Image& a, const Image& b) const {
    const auto name = name_of(item);
    const bool a_left = key_.a_is_left.at(name);
    // Without any text in them that could tell who made them.
    (a_left ? a : b).save_png(folder_ / (name + "_left.png"));
    (a_left ? b : a).save_png(folder_ / (name + "_right.png"));
  }

  /// Throws ArgumentError where a picture of the job is gone.
  void finish(const ChunkResults& job) const {
    for (Index item = 0; item < static_cast<Index>(key_.a_is_left.size()); ++item)
      for (const char* side : {"_left.png", "_right.png"})
        require_picture(comparison_name, folder_ / (name_of(item) + side), job);
    write(folder_ / "manifest.json", manifest_.dump(1) + "\n");
    key_.save(blind_key_path(folder_));
  }

 private:
  static std::string name_of(Index item) { return numbered_name(item + 1, 4); }
  static void write(const std::filesystem::path& path, const std::string& text) {
    write_file(comparison_name, path, std::as_bytes(std::span(text)));
  }

  /// A folder of the same set may be there from a run that was stopped or is repeated.
  void refuse_another() const {
    std::error_code error;
    const auto manifest = folder_ / "manifest.json";
    if (std::filesystem::exists(manifest, error)) {
      constexpr std::size_t most = std::size_t{64} << 20;
      if (read_text_file(manifest, most) == manifest_.dump(1) + "\n") return;
      throw ArgumentError(comparison_name, folder_.string() + ": holds the pictures of another comparison",
                          folder_);
    }
    if (!std::filesystem::exists(folder_, error)) return;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
      const auto name = entry.path().filename().string();
      if (!name.ends_with("_left.png") && !name.ends_with("_right.png"))
        throw ArgumentError(comparison_name, folder_.string() + ": holds other things, as " + in_quotes(name),
                            folder_);
    }
  }

  std::filesystem::path folder_;
  BlindKey key_;
  nlohmann::ordered_json manifest_;
};

}  // namespace

std::filesystem::path blind_key_path(const std::filesystem::path& folder) {
  auto path = folder;
  if (!path.has_filename()) path = path.parent_path();
  path += ".key.json";
  return path;
}

std::vector<SampleItem> drawn_sample_items(std::span<const SuitePrompt> prompts, Index count,
                                           std::uint64_t seed) {
  auto items = sample_items(prompts, count, seed);
  // The distributions of <random> differ from library to library; the generator itself does not.
  std::mt19937 generator(static_cast<std::uint32_t>(seed));
  for (auto& item : items) {
    const auto& prompt = prompts[generator() % prompts.size()];
    item.prompt = prompt.text;
    item.category = prompt.category;
  }
  return items;
}

Report evaluate_model(const SampleJob& pictures, const PictureMeasures& measures,
                      const ModelEvaluationOptions& options) {
  if (!measures.has_picture_measures())
    throw ArgumentError(model_job_name, "there is no measure of pictures, only of pairs of them");
  if (!options.keep.empty()) make_folder(options.keep, model_job_name);
  const nlohmann::json job{{"job", "generated pictures"},
                           {"pictures", settings_of(pictures)},
                           {"measures", parse_json(measures.settings(), "the measures' settings")},
                           {"keep", options.keep.string()}};
  auto run = options.job;
  run.chunk = pictures.end_of(0);
  const auto kept = [&](Index item) { return options.keep / (numbered_name(item, 6) + ".png"); };
  const auto work = [&](Index begin, Index end) {
    auto chunk = chunk_of(begin, end);
    std::vector<Image> made;
    for (auto& picture : pictures.make(begin / run.chunk)) {
      if (!options.keep.empty())
        picture.image.save_png(kept(picture.index), {{"parameters", picture.settings}});
      made.push_back(std::move(picture.image));
    }
    measures.look(made, prompts_of(pictures, begin, end), "", chunk, run.stop);
    return chunk;
  };
  const auto results = run_chunks(to_text(job), pictures.size(), work, run);
  for (Index item = 0; item < pictures.size() && !options.keep.empty() && is_first(run); ++item)
    require_picture(model_job_name, kept(item), results);
  auto report = measures.figures(results, "", categories_of(pictures.items()));
  report.append(measures.about_reference());
  return report;
}

Report compare_models(const ComparedModel& a, const ComparedModel& b, const PictureMeasures& measures,
                      const ComparisonOptions& options) {
  if (a.name == b.name)
    throw ArgumentError(comparison_name, "both sides are called " + in_quotes(a.name) + ": name them apart");
  if (!same_items(a.pictures, b.pictures))
    throw ArgumentError(comparison_name, "the two sides are asked for different pictures");
  for (const auto* model : {&a, &b}) require_utf8("the name", model->name);
  for (const auto& question : options.questions) require_utf8("the question", question);
  std::optional<BlindSet> votes;
  if (!options.votes.empty()) {
    votes.emplace(options, a, b);
    make_folder(options.votes, comparison_name);
  }
  const nlohmann::json job{{"job", "compared pictures"},
                           {"a", settings_of(a.pictures)},
                           {"b", settings_of(b.pictures)},
                           {"measures", parse_json(measures.settings(), "the measures' settings")},
                           {"votes", options.votes.string()},
                           {"votes_seed", options.votes_seed}};
  auto run = options.job;
  run.chunk = a.pictures.end_of(0);
  const auto work = [&](Index begin, Index end) {
    auto chunk = chunk_of(begin, end);
    const auto first = pictures_of(a.pictures, begin), second = pictures_of(b.pictures, begin);
    const auto prompts = prompts_of(a.pictures, begin, end);
    for (std::size_t i = 0; i < first.size() && votes; ++i)
      votes->save(begin + static_cast<Index>(i), first[i], second[i]);
    measures.look(first, prompts, "a.", chunk, run.stop);
    measures.look(second, prompts, "b.", chunk, run.stop);
    measures.look_at_pairs(first, second, chunk);
    return chunk;
  };
  const auto results = run_chunks(to_text(job), a.pictures.size(), work, run);
  if (votes && is_first(run)) votes->finish(results);

  const auto categories = categories_of(a.pictures.items());
  auto report = measures.paired_figures(results, a.name, b.name, categories);
  const auto add = [&](const Report& more, const std::string& side) {
    for (auto figure : more.figures) {
      if (!side.empty()) figure.name += ": " + side;
      report.figures.push_back(std::move(figure));
    }
    for (const auto& warning : more.warnings)
      report.warnings.push_back(side.empty() ? warning : side + ": " + warning);
  };
  add(measures.pair_figures(results, categories), "");
  add(measures.distribution_figures(results, "a."), a.name);
  add(measures.distribution_figures(results, "b."), b.name);
  report.append(measures.about_reference());
  return report;
}

}  // namespace daguerre::evaluation
