.PHONY: run test setup lint fmt lock clean

run test setup lint fmt lock clean:
	@python3 dev.py $@ $(ARGS)
