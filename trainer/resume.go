package trainer

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"qlora/checkpoint"
)

// load allocates the memory and fills it: the base, the adapters and, in a resumed
// run, the checkpoint's state.
func (r *loop) load() error {
	values := r.Base.Values()
	values.Seed, values.BaseLoaded, values.Initialized = r.Args.Seed, r.loading, r.initializing
	if err := r.takeReference(); err != nil {
		return err
	}
	// A reference that is not complete needs the model as the run begins.
	if r.resume != nil && r.reference.complete() {
		values.Adapter = r.from // for the starts subtracted from the base; the optimizer's state has the rest
		values.Later = r.Base.Lora != nil && !r.Base.Lora.Init.ChangesBase()
	}
	if err := r.layout.Load(r.Device, values); err != nil {
		return err
	}
	if r.resume == nil {
		r.at = progress{Version: progressVersion, Run: r.run, Identity: r.identity, Settings: r.settings(), Part: r.layout.part}
		return r.spread()
	}
	r.restorePosition()
	if err := r.restoreRollout(); err != nil {
		return err
	}
	if r.reference.complete() {
		return r.restoreTensors()
	}
	return r.spread()
}

// restorePosition sets the run to the position of its checkpoint.
func (r *loop) restorePosition() {
	r.at = *r.resume
	r.at.Compared, r.at.Sampled = slices.Clone(r.at.Compared), maps.Clone(r.at.Sampled) // ranks of one process share the checkpoint
	r.at.Settings, r.at.Part = r.settings(), r.layout.part
	r.state.LogHistory = slices.Clip(r.past.LogHistory)
	r.restoreBest()
	for _, row := range r.past.LogHistory { // reduce_lr_on_plateau depends on them
		if value := row.metric(r.Args.metric()); value != nil {
			r.schedule.evaluated(float64(*value))
		}
	}
	r.restorePatience()
	r.state.GlobalStep, r.state.Epoch = r.at.Step, Number(r.length.Epoch(r.at.Step))
	r.state.TotalFLOs = Number(r.flopsPerToken() * float64(r.at.Tokens))
	if r.at.Step%r.length.StepsInEpoch != 0 {
		r.order.restore(r.at.EpochDraws)
		r.epochOrder = r.order.begin(r.at.Step / r.length.StepsInEpoch)
	}
	r.order.restore(r.at.Draws)
	r.checkpoint = r.from
}

// restoreTensors sets what is trained to what the checkpoint has, which rank 0 reads.
func (r *loop) restoreTensors() error {
	path := filepath.Join(r.from, optimizerFile)
	if r.layout.shared != nil {
		if err := r.restoreShards(path); err != nil {
			return r.named(err)
		}
		r.layout.Model.Derive(r.Device)
		return r.Device.Sync()
	}
	if r.rank() == 0 {
		if err := loadOptimizer(r.Device, r.layout.params, path); err != nil {
			return err
		}
	}
	if err := r.spread(); err != nil {
		return err
	}
	r.layout.Model.Derive(r.Device)
	return r.Device.Sync()
}

// restoreShards sets every rank's part to what the checkpoint has.
func (r *loop) restoreShards(path string) error {
	p := r.layout.shared
	if r.rank() > 0 {
		return p.restore(r.Device, r.layout.params, nil)
	}
	file, err := checkpoint.OpenFile(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return p.restore(r.Device, r.layout.params, func(name string) ([]byte, error) {
		t, ok := file.Tensor(name)
		if !ok {
			return nil, fmt.Errorf("%s: tensor %q was changed while the run started", path, name)
		}
		return t.Data(), nil
	})
}

// bringTogether makes the weights that are saved whole on this rank. Every rank calls it.
func (r *loop) bringTogether() error {
	if r.layout.shared == nil {
		return nil
	}
	if err := r.layout.shared.collectMasters(r.Device); err != nil {
		return r.named(err)
	}
	return nil
}

// accompanySave does for a rank that writes nothing what rank 0 needs of it for a checkpoint.
func (r *loop) accompanySave() error {
	if r.layout.shared == nil {
		return nil
	}
	if err := r.bringTogether(); err != nil || r.Args.SaveOnlyModel {
		return err
	}
	return r.named(checkpoint.Discard(r.layout.optimizerEntries(r.Device)))
}

// save writes a checkpoint of the current position, and deletes the oldest ones. Only rank
// 0 writes.
func (r *loop) save() error {
	if r.rank() > 0 {
		r.checkpoint = CheckpointDir(r.Args.OutputDir, r.at.Step)
		r.nameBest()
		return r.accompanySave()
	}
	own, err := ownCheckpoints(r.Args.OutputDir, r.run)
	if err != nil {
		return err
	}
	r.at.Saved = 1
	if len(own) > 0 {
		r.at.Saved = own[len(own)-1].progress.Saved + 1
	}
	r.at.Draws = r.order.draws
	r.at.Seconds = r.seconds()
	r.nameBest()
	r.state.control(true, r.done())
	defer r.state.control(false, r.done())
	if err := r.bringTogether(); err != nil {
		return err
	}
	dir, err := writeCheckpoint(r.Args.OutputDir, r.at.Step, func(dir string) error {
		if err := r.writeModel(dir); err != nil {
			return err
		}
		where, err := r.at.encode()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, progressFile), where, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, stateFile), r.state.Encode(), 0o644); err != nil {
			return err
		}
		if r.holdsRollout() {
			if err := writeRollout(dir, r.rollout); err != nil {
				return err
			}
		}
		if r.Args.SaveOnlyModel {
			return nil
		}
		return saveOptimizer(r.Device, r.layout, filepath.Join(dir, optimizerFile))
	})
	if err != nil {
		return err
	}
	r.checkpoint = dir
	if err := rotate(r.Args.OutputDir, r.run, r.Args.SaveTotalLimit, r.bestStep()); err != nil {
		return fmt.Errorf("deleting old checkpoints: %w", err)
	}
	return r.outputs.Saved(dir, r.at.Step)
}
